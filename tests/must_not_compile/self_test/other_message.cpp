// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: a message that no compiler writes
int main() { return undeclared; }
