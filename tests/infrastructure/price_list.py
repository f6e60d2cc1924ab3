"""A stand-in for Azure's price list, two prices a page, with answers of the shape that its documentation shows.

The prices are invented; the names are those under which the list has them, beside others that must not be taken.
"""

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

PATH = "/api/retail/prices"
RATES = {"USD": 1.0, "EUR": 0.5}
LINUX = {"DS3_v2": 0.3, "F4s_v2": 0.2, "NC4as_T4_v3": 0.6, "D4s_v5": 0.25}  # an hour


def row(service: str, product: str, sku: str, meter: str, unit: str, price: float, **more: Any) -> dict[str, Any]:
    """A price as the list has it."""
    return {
        "currencyCode": "USD",
        "tierMinimumUnits": 0.0,
        "retailPrice": price,
        "unitPrice": price,
        "armRegionName": "westeurope",
        "location": "EU West",
        "effectiveStartDate": "2026-01-01T00:00:00Z",
        "meterId": f"{product}/{meter}",
        "meterName": meter,
        "productName": product,
        "skuName": sku,
        "serviceName": service,
        "unitOfMeasure": unit,
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": "",
        **more,
    }


def machines() -> list[dict[str, Any]]:
    """Every size, last of all as it is used here."""
    found = []
    for size, price in LINUX.items():
        sku, product = size.replace("_", " "), f"Virtual Machines {size} Series"
        own = {"armSkuName": f"Standard_{size}"}
        found += [
            row("Virtual Machines", f"{product} Windows", sku, sku, "1 Hour", 2 * price, **own),
            row("Virtual Machines", product, f"{sku} Spot", f"{sku} Spot", "1 Hour", price / 5, **own),
            row("Virtual Machines", product, f"{sku} Low Priority", f"{sku} Low Priority", "1 Hour", price / 4, **own),
            row("Virtual Machines", f"{size} Series Cloud Services", sku, sku, "1 Hour", 1.3 * price, **own),
            row("Virtual Machines", product, sku, sku, "1 Hour", 3000 * price, type="Reservation", **own),
            row("Virtual Machines", product, sku, sku, "1 Hour", 3 * price, **own | {"armRegionName": "eastus"}),
            row("Virtual Machines", product, sku, sku, "1 Hour", price, **own),
        ]
    return found


def everything() -> list[dict[str, Any]]:
    """All prices."""
    lake, blob = "General Block Blob v2 Hierarchical Namespace", "General Block Blob v2"
    spark = "Azure Synapse Analytics Serverless Apache Spark Pool - Memory Optimized"
    private, everywhere = "Virtual Network Private Link", {"armRegionName": "Global"}
    logs = ("Log Analytics", "Log Analytics", "Analytics Logs", "Analytics Logs Data Ingestion", "1 GB")
    return [
        *machines(),
        row("Azure Firewall", "Azure Firewall", "Basic", "Basic Deployment", "1 Hour", 0.4),
        row("Azure Firewall", "Azure Firewall", "Basic", "Basic Data Processed", "1 GB", 0.07),
        row("Azure Firewall", "Azure Firewall", "Standard", "Standard Deployment", "1 Hour", 1.25),
        row("Virtual Network", private, "Standard", "Standard Private Endpoint", "1 Hour", 0.01, **everywhere),
        row("Container Registry", "Container Registry", "Premium", "Premium Registry Unit", "1/Day", 1.2),
        row("Container Registry", "Container Registry", "Basic", "Basic Registry Unit", "1/Day", 0.2),
        row(*logs, 0.0),
        row(*logs, 3.0, tierMinimumUnits=5.0),
        row("Storage", lake, "Hot ZRS", "Hot ZRS Data Stored", "1 GB/Month", 0.03),
        row("Storage", blob, "Hot ZRS", "Hot ZRS Data Stored", "1 GB/Month", 0.02),
        row("Storage", blob, "Hot ZRS", "Hot ZRS Data Stored", "1 GB/Month", 0.01, tierMinimumUnits=51200.0),
        row("Storage", "Premium SSD Managed Disks", "P10 LRS", "P10 LRS Disk", "1/Month", 20.0),
        row("Azure Kubernetes Service", "Azure Kubernetes Service", "Standard", "Standard Uptime SLA", "1 Hour", 0.1),
        row("Event Hubs", "Event Hubs", "Standard", "Standard Throughput Unit", "1 Hour", 0.03),
        row("Event Hubs", "Event Hubs", "Standard", "Standard Capture", "1 Hour", 0.1),
        row("Azure Synapse Analytics", spark, "vCore", "vCore", "1 Hour", 0.15),
    ]


@dataclass
class PriceList:
    """The list: its prices, what it was asked, how its first page points to the second, and whether it is broken."""

    prices: list[dict[str, Any]] = field(default_factory=everything)
    asked: list[str] = field(default_factory=list)
    next_at: str = ""
    broken: bytes | int = b""

    def __enter__(self) -> "PriceList":
        """Listen on a free port."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                code, body = outer.answer(self.path)
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}{PATH}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body; unknown currencies and filters are refused."""
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(query["$filter"])
        currency = query["currencyCode"].strip("'")
        conditions = dict(re.findall(r"(\w+) eq '([^']*)'", query["$filter"]))
        if self.broken or currency not in RATES:
            return (self.broken, b"") if isinstance(self.broken, int) else (200 if self.broken else 400, self.broken)
        conditions["type"] = conditions.pop("priceType")
        found = [one for one in self.prices if all(one[name] == value for name, value in conditions.items())]
        skip = int(query.get("$skip", 0))
        names = ("retailPrice", "unitPrice")
        page = [one | {name: one[name] * RATES[currency] for name in names} for one in found[skip : skip + 2]]
        more = f"{self.next_at or self.address}?currencyCode='{currency}'&$filter={quote(query['$filter'], safe=' ')}"
        body = {
            "BillingCurrency": currency,
            "CustomerEntityId": "Default",
            "CustomerEntityType": "Retail",
            "Items": page,
            "NextPageLink": f"{more}&$skip={skip + 2}" if found[skip + 2 :] else None,
            "Count": len(page),
        }
        return 200, json.dumps(body).encode()
