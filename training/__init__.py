"""Offline half: parallel text in, a published bundle out. Never imported by `service`."""
