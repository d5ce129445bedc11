#![no_main]

fuzz::target!(intake);
