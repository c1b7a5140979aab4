"""otoroshi-dev-gateway, the stand-in for Otoroshi, as a child process."""

import json
import os
import signal

from support.process import Process
from support.waiting import wait_until


def remote(service):
    """The options that have the gateway forward to this service."""
    return ("--remote", f"{service.host}:{service.port}")


class DevGateway(Process):
    """Listens on a port that the kernel chooses, unless `port` asks for one."""

    def __init__(self, *options, port=0, host="127.0.0.1"):
        listen = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        super().__init__(
            "otoroshi-dev-gateway",
            [os.environ["OTOROSHI_DEV_GATEWAY"], "--listen", listen, *options],
            merge=True,
        )
        self.host = host
        self.port = None

    def wait_ready(self):
        # The first line with an address and a port that is not 0 tells where it listens.
        self.port = int(self.wait_for_log(r"(?:127\.0\.0\.1|localhost|\[::1\]):([1-9]\d*)")[1])
        return self

    @property
    def authority(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def counters(self):
        """What SIGUSR1 brings to its output, now."""
        since = self.mark()
        self.send_signal(signal.SIGUSR1)
        return json.loads(self.wait_for_log(r"^\{.*\}$", since=since)[0])

    def wait_for_counters(self, condition, what):
        """The first counters that satisfy `condition`."""

        def look():
            counters = self.counters()
            return counters if condition(counters) else None

        return wait_until(look, what)

    def finish(self):
        try:
            if self.running:
                self.stop()
            self.assert_no_sanitizer_report()
        finally:
            self.kill()
