#![no_main]

fuzz::target!(package);
