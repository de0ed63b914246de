"""The online half: from a published bundle to a translation API."""

import os

# Before anything imports ONNX Runtime, which else tells its maker over the network how it is used,
# and keeps a number for this machine below the home folder (its Privacy.md).
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
