#![no_main]

fuzz::target!(spec);
