"""`python -m kvclient.exporter`, as the systemd unit starts it."""

from kvclient.exporter import main

main()
