"""Run Kusto queries on rows with DuckDB: a JSON list of {tables, rows, query} comes in, the rows found go out."""

import json
import sys

import duckdb_kql

KINDS = {"string": "VARCHAR", "int": "INTEGER", "real": "DOUBLE", "datetime": "TIMESTAMP"}

found = []
for case in json.load(sys.stdin):
    connection = duckdb_kql.connect()
    for table, columns in case["tables"].items():
        kinds = {name: KINDS[kind] for name, kind in columns.items()}
        connection.execute(f"CREATE TABLE {table}({', '.join(f'{name} {kind}' for name, kind in kinds.items())})")
        connection.execute(  # at once: row by row takes ten times as long
            f"INSERT INTO {table} SELECT unnest(from_json(?, ?), max_depth := 2)",
            [json.dumps(case["rows"].get(table, [])), json.dumps([kinds])],
        )
    result = duckdb_kql.query(connection, case["query"])
    found.append([dict(zip(result.columns, row, strict=True)) for row in result.fetchall()])
print(json.dumps(found, default=str))
