"""Games: a server that pushes to each player whose address it knows, and state by that address."""

import pytest

from support.game import GameServer, Players

PUSH_RATE, PLAYER_RATE = 60, 20


@pytest.fixture
def start_server():
    """start_server(players, rate, count): see GameServer."""
    servers = []

    def start(*arguments):
        servers.append(GameServer(*arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def join():
    """join(where, count): so many players."""
    joined = []

    def start(*arguments):
        joined.append(Players(*arguments))
        return joined[-1]

    yield start
    for players in joined:
        players.close()


@pytest.fixture
def start_game_tunnel(start_gateway, start_tunnel):
    """start_game_tunnel(server): a WebSocket for each player, towards this server."""
    gateways = []

    def start(server):
        gateways.append(start_gateway("--remote", f"{server.host}:{server.port}"))
        return start_tunnel(gateways[0], "--connections", "per-client")

    yield start
    for gateway in gateways:
        print("gateway:", gateway.counters())  # for pytest -rP


def play(server, players):
    players.play(server, PLAYER_RATE)
    players.wait(server)


def assert_each_has_its_own(server, players):
    assert players.foreign() == {}, "datagrams of other players, by player"
    assert players.missing(server) == {}, "datagrams that did not come, by player"
    assert players.doubled() == {}, "datagrams that came twice, by player"


def test_players_and_server_understand_each_other_without_a_tunnel(start_server, join):
    server = start_server(10, PUSH_RATE, 60)
    players = join(server, 10)
    play(server, players)
    assert_each_has_its_own(server, players)


def test_ten_players_get_what_is_pushed_to_them(start_server, join, start_game_tunnel):
    server = start_server(10, PUSH_RATE, 120)
    players = join(start_game_tunnel(server), 10)
    play(server, players)
    assert_each_has_its_own(server, players)
    assert [len(ports) for ports in server.ports.values()] == [1] * 10


@pytest.mark.slow
def test_fifty_players_get_what_is_pushed_to_them(start_server, join, start_game_tunnel):
    server = start_server(50, PUSH_RATE, 600)
    players = join(start_game_tunnel(server), 50)
    play(server, players)
    assert_each_has_its_own(server, players)
    assert [len(ports) for ports in server.ports.values()] == [1] * 50


@pytest.mark.slow
def test_one_request_is_followed_by_a_thousand_datagrams(start_server, join, start_game_tunnel):
    server = start_server(1, 100, 1000)
    players = join(start_game_tunnel(server), 1)
    players.send()
    players.wait(server)
    assert_each_has_its_own(server, players)
    assert server.pushed == {0: 1000}
