"""`pairmill explore`: a small read-only web application over the runs of a storage.

Pages are made on the server and filters are GET forms, so that every view is a URL; no page holds a script. Rows are
read by DuckDB from the Parquet files that a finished generation's manifest names (`contents`, `database`); `rows`,
`trial`, `story` and `download` are what is asked of them, `app` the routes, `access` who may ask.
"""
