"""Run Kusto queries on rows with DuckDB: a JSON list of {tables, rows, query} comes in, the rows found go out."""

import json
import sys

import duckdb_kql

KINDS = {"string": "VARCHAR", "int": "INTEGER", "real": "DOUBLE", "datetime": "TIMESTAMP"}

found = []
for case in json.load(sys.stdin):
    connection = duckdb_kql.connect()
    for table, columns in case["tables"].items():
        connection.execute(
            f"CREATE TABLE {table}({', '.join(f'{name} {KINDS[kind]}' for name, kind in columns.items())})"
        )
        for row in case["rows"].get(table, []):
            marks = ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO {table}({', '.join(row)}) VALUES ({marks})", list(row.values()))
    result = duckdb_kql.query(connection, case["query"])
    found.append([dict(zip(result.columns, row, strict=True)) for row in result.fetchall()])
print(json.dumps(found, default=str))
