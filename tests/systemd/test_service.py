"""A user's way with the service: install it, use it, log out and in, remove it."""


def test_the_first_request_starts_the_installed_service(machine):
    """After one command, a create is answered by a daemon that systemd starts; the data outlives the manager."""
    machine.kvctl("service", "install")
    assert machine.show("kvd.service", "ActiveState") == "inactive"

    machine.kvctl("create", "key1", '{"name": "value1"}')

    assert machine.show("kvd.service", "ActiveState") == "active"
    assert '{"name": "value1"}\n' == machine.kvctl("read", "key1").stdout
    machine.log_out_and_in()
    assert machine.show("kvd.service", "ActiveState") == "inactive"
    assert '{"name": "value1"}\n' == machine.kvctl("read", "key1").stdout
    assert machine.show("kvd.service", "ActiveState") == "active"
