"""Offline half: parallel text in, a published bundle out. Never imported by `service`."""

import os

# As in service/__init__.py: before anything imports ONNX Runtime, which else reports to its maker.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
