"""Files that are answered."""

from urllib.parse import quote

from fastapi import Response

from service.documents import Result


def file_response(result: Result) -> Response:
    """Answer with a file for the client to save, never to show."""
    disposition = f"attachment; filename*=UTF-8''{quote(result.file_name, safe='')}"
    headers = {"Content-Disposition": disposition}
    return Response(result.content, media_type=result.media_type, headers=headers)
