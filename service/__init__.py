"""The online half: from a published bundle to a translation API."""
