"""Real UDP services behind the gateway: each runs unprivileged, in the test's own folder."""

import os
import subprocess

from support.process import Process
from support.udp import unused_port
from support.waiting import DEADLINE, wait_until

HOST = "127.0.0.1"


def run(*command, environment=None):
    """Runs a client program to its end; its standard output. Its exit status must be 0."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=2 * DEADLINE,
        env=environment,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


class Service(Process):
    """A server on a UDP port chosen here, since these programs can't let the kernel choose."""

    def __init__(self, name, command, port, environment=None):
        super().__init__(name, command, environment=environment, merge=True)
        self.host, self.port = HOST, port

    def finish(self):
        try:
            self.stop()
        finally:
            self.kill()


class Dnsmasq(Service):
    """A DNS server with a zone of its own and no upstream; `records` are further names in it."""

    ZONE = "corp.test"
    HOST_COUNT = 8
    LONG_TEXT = ["%03d-" % number + "x" * 200 for number in range(12)]

    def __init__(self, directory, records=()):
        port = unused_port()
        hosts = [
            f"--host-record=host{n}.{self.ZONE},192.0.2.{n},2001:db8::{n}"
            for n in range(self.HOST_COUNT)
        ]
        # In a file: thousands of them pass what a command line can hold.
        more_hosts = directory / "hosts"
        more_hosts.write_text("".join(f"{one.address} {one.name}\n" for one in records))
        super().__init__(
            "dnsmasq",
            [
                *("/usr/sbin/dnsmasq", "--keep-in-foreground", "--log-facility=-"),
                *("--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-poll"),
                *(f"--port={port}", f"--listen-address={HOST}", "--bind-interfaces"),
                *(f"--user={_user_name()}", f"--pid-file={directory}/dnsmasq.pid"),
                *(f"--local=/{self.ZONE}/", "--edns-packet-max=4096"),
                f"--addn-hosts={more_hosts}",
                *(f"--txt-record=note.{self.ZONE},a note", *hosts),
                f"--txt-record=long.{self.ZONE}," + ",".join(self.LONG_TEXT),
            ],
            port,
        )

    def wait_ready(self):
        # Read after the start; the questions must not come before.
        self.wait_for_log(r"started, version")
        self.wait_for_log(r"read .*/hosts - \d+ (?:addresses|names)")


class Rsyslog(Service):
    """A syslog server that writes each message's text as a line of `file`."""

    def __init__(self, directory):
        port = unused_port()
        self.file = directory / "messages.log"
        configuration = directory / "rsyslog.conf"
        configuration.write_text(
            f'global(workDirectory="{directory}")\n'
            'module(load="imudp")\n'
            # So large that nothing is lost between the gateway and here.
            f'input(type="imudp" address="{HOST}" port="{port}" rcvbufSize="8m")\n'
            'template(name="text" type="string" string="%msg%\\n")\n'
            f'action(type="omfile" file="{self.file}" template="text")\n'
        )
        super().__init__(
            "rsyslogd",
            ["/usr/sbin/rsyslogd", "-n", "-f", configuration, "-i", directory / "rsyslog.pid"],
            port,
        )

    def wait_ready(self):
        wait_until(lambda: udp_port_is_bound(self.port), f"rsyslogd on UDP port {self.port}")

    def messages(self):
        return self.file.read_text().splitlines() if self.file.exists() else []

    def wait_for_messages(self, count):
        wait_until(lambda: len(self.messages()) >= count, f"{count} lines in {self.file}")
        return self.messages()


class Snmpd(Service):
    """An SNMP agent that answers version 2c for the community `public`."""

    SYSTEM_NAME = "behind-the-gateway"
    # Where Debian's net-snmp lets everybody play.
    TABLES = "1.3.6.1.4.1.8072.9999.9999"

    def __init__(self, directory, tables=0, rows=0):
        """With as many `tables` of as many `rows` below TABLES, no value twice."""
        port = unused_port()
        configuration = directory / "snmpd.conf"
        configuration.write_text(
            f"rocommunity public {HOST}\nsysName {self.SYSTEM_NAME}\nsysServices 72\n"
            + "".join(
                f'override {self.TABLES}.{table}.{row} octet_str "table {table}, row {row}"\n'
                for table in range(1, tables + 1)
                for row in range(1, rows + 1)
            )
        )
        super().__init__(
            "snmpd",
            [
                *("/usr/sbin/snmpd", "-f", "-Lo", "-C", "-c", configuration),
                *("-p", directory / "snmpd.pid"),
                *("-I", "system_mib,sysORTable,snmp_mib,override"),
                f"udp:{HOST}:{port}",
            ],
            port,
            environment=snmp_environment(directory),
        )

    def wait_ready(self):
        self.wait_for_log(r"NET-SNMP version")


def snmp_environment(directory):
    """net-snmp writes state beside its configuration; no MIB files are needed for numbers."""
    return {
        **os.environ,
        "SNMP_PERSISTENT_DIR": str(directory),
        "SNMPCONFPATH": str(directory),
        "MIBS": "",
    }


def _user_name():
    return run("id", "-un").strip()


def udp_port_is_bound(port):
    return bool(run("ss", "-Hlnu", f"sport = :{port}").strip())
