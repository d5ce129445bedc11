#![no_main]

fuzz::target!(manifest);
