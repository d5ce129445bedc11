#![no_main]

fuzz::target!(ndjson);
