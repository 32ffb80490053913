// Reading text from left to right. Whatever is not as it should be makes the cursor bad, and it stays so.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
	const char *at, *end;
	bool bad;
};

// base: up to 16, digits beyond 9 in lower case.
static inline uint64_t take_number(struct cursor *c, unsigned base)
{
	const char *from = c->at;
	uint64_t value = 0;
	for (; c->at < c->end; c->at++) {
		unsigned char ch = *c->at;
		unsigned digit = ch - '0';
		if (digit > 9)
			digit = ch >= 'a' && ch <= 'f' ? ch - 'a' + 10u : 99;
		if (digit >= base)
			break;
		if (value > (UINT64_MAX - digit) / base)
			c->bad = true;
		value = value * base + digit;
	}
	c->bad |= c->at == from;
	return value;
}

static inline void take_char(struct cursor *c, char wanted)
{
	if (c->at < c->end && *c->at == wanted)
		c->at++;
	else
		c->bad = true;
}

// What is left of the line, up to a space; the cursor is at that space, or at the end.
static inline size_t take_word(struct cursor *c, const char **word)
{
	const char *space = memchr(c->at, ' ', c->end - c->at);
	*word = c->at;
	c->at = space ? space : c->end;
	c->bad |= c->at == *word;
	return c->at - *word;
}
