// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: error
int main() { return 0; }
