"""The doors for machines, `/api/v1/`: OpenAPI at `openapi.json`, to read at `docs`."""

from ninja import NinjaAPI

from pickup.api import errors, orders, scans

api = NinjaAPI(title="Pickup network", version="1", openapi_url="/openapi.json", docs_url="/docs")
errors.register(api)
api.add_router("", orders.router)
api.add_router("", scans.router)
