module hankpeers

go 1.19
