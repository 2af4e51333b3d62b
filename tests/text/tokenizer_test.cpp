#include "text/tokenizer.h"
#include <gtest/gtest.h>
#include "text/batch.h"
#include "text/prices.h"
TEST(Tokenizer, Smoke) { EXPECT_EQ(qlora::draw_price_items(1, 2).size(), 2u); }
