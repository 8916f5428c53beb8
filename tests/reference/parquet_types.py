"""Writes types.parquet: a table with the types that other writers use. pyarrow 26; `python tests/reference/parquet_types.py tests/reference`."""

import datetime
import decimal
import sys

import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table(
    {
        "prompt": pa.array(["first", "second"]).dictionary_encode(),
        "response": pa.array([b"text as bytes", b"more"], pa.binary()),
        "day": pa.array([datetime.date(2024, 7, 26), None]),
        "moment": pa.array([datetime.datetime(2024, 7, 26, 12, 30), None], pa.timestamp("us")),
        "price": pa.array([decimal.Decimal("12.50"), decimal.Decimal("-0.01")], pa.decimal128(10, 2)),
        "raw": pa.array([b"\xff\xfe", b"ok"], pa.binary()),
        "large": pa.array(["large", "text"], pa.large_string()),
        "nested": pa.array([{"a": 1, "b": [1.5]}, None]),
        "number": pa.array([1, 2], pa.int32()),
    }
)
pq.write_table(table, f"{sys.argv[1]}/types.parquet", compression="zstd")
