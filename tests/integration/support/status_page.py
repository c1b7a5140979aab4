"""A client of the pages of --metrics-listen, and of whatever else can be done to its port."""

import http.client
import json
import socket

from prometheus_client.parser import text_string_to_metric_families

from support.tunnel import assert_balanced, without_prefix
from support.waiting import DEADLINE, wait_until

PATHS = ["/", "/metrics", "/status.json", "/healthz", "/readyz"]


class Answer:
    """A whole answer, its connection closed."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()


class StatusPage:
    """Where a tunnel's log says that its pages are."""

    def __init__(self, tunnel):
        self.url = tunnel.wait_for_log(r"Status page on (http://\S+/)$")[1]
        host, _, port = self.url.removeprefix("http://").rstrip("/").rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)

    def connect(self):
        """A connection on which nothing has been said."""
        return socket.create_connection((self.host, self.port), timeout=DEADLINE)

    def send(self, data):
        """A connection on which this has been sent."""
        connection = self.connect()
        connection.sendall(data)
        return connection

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def families(self):
        """What Prometheus would read, by name."""
        answer = self.get("/metrics")
        assert answer.status == 200
        return {family.name: family for family in text_string_to_metric_families(answer.text)}

    def samples(self):
        """Each value by its name and the values of its labels."""
        return {
            (sample.name.removeprefix("otoroshictl_"), *sample.labels.values()): sample.value
            for family in self.families().values()
            for sample in family.samples
        }

    def status(self):
        """/status.json under short names."""
        answer = self.get("/status.json")
        assert answer.status == 200
        status = without_prefix(json.loads(answer.text))
        assert_balanced(status)
        return status

    def wait_for_ready(self, status):
        """Until /readyz answers with this; its text."""

        def look():
            answer = self.get("/readyz")
            return answer if answer.status == status else None

        return wait_until(look, f"/readyz with {status}").text


def read_to_end(connection):
    """What comes until the server ends the connection, be it with a reset."""
    received = b""
    try:
        while more := connection.recv(65536):
            received += more
    except ConnectionResetError:
        pass
    finally:
        connection.close()
    return received
