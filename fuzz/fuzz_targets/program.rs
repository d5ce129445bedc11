#![no_main]

fuzz::target!(program);
