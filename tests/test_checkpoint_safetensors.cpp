// SPDX-License-Identifier: BSD-3-Clause
// Safetensors files on their own: what is written, what is read, and what is refused.
// labels: portable

#include "fuzz/read_safetensors.hpp"
#include "support/errors.hpp"
#include "support/temporary_folder.hpp"
#include <schatten/checkpoint/manifest.hpp>
#include <schatten/checkpoint/safetensors.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;
using checkpoint::FileError;
using checkpoint::Metadata;
using checkpoint::SafetensorsFile;
using checkpoint::Tensor;

/// A file with that header and that many bytes of data.
std::string bytes_of(const std::string& header, std::size_t data) {
  std::string bytes(8, '\0');
  for (std::size_t k = 0; k < 8; ++k) bytes[k] = char(header.size() >> (8 * k) & 255);
  return bytes + header + std::string(data, 'x');
}

std::string refusal_of(const std::string& bytes) {
  const TemporaryFolder folder;
  const std::string path = folder.file("bad.safetensors");
  write_file(path, bytes);
  const std::string message = message_of<FileError>([&] { const SafetensorsFile file(path); });
  CHECK(contains(message, "schatten::checkpoint: " + path + ": "));
  return message;
}

/// A header with one tensor "a" of that JSON.
std::string tensor(const std::string& json) { return "{\"a\":" + json + "}"; }

/// A header whose only metadata is that JSON string.
std::string text(const std::string& json) { return "{\"__metadata__\":{\"a\":" + json + "}}"; }

/// The value of that metadata.
std::string value_of(const std::string& json) {
  return checkpoint::parse_header(text(json), 0, "text").metadata.at("a");
}

void write_numbers(const std::string& path, double first) {
  checkpoint::write_safetensors(path, {{.name = "numbers", .type = "F64", .shape = {2, 2}}}, {},
                                [&](const Tensor&, char* to) {
                                  const double numbers[] = {first, 1, 2, 3};
                                  std::memcpy(to, numbers, sizeof(numbers));
                                });
}

}  // namespace

TEST_CASE("what is written is read") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.safetensors");
  const Metadata metadata{{"", "empty"}, {"quotes \" \\ \n \x01", "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"}};
  const std::vector<Tensor> tensors{{.name = "bytes", .type = "U8", .shape = {3}},
                                    {.name = "none", .type = "F32", .shape = {2, 0, 5}},
                                    {.name = "number \xc3\xa9/", .type = "F64", .shape = {}},
                                    {.name = "halves", .type = "BF16", .shape = {1, 3}}};
  int calls = 0;
  checkpoint::write_safetensors(path, tensors, metadata, [&](const Tensor& t, char* to) {
    std::memset(to, int(t.name[0]), t.bytes());
    ++calls;
  });
  CHECK(calls == 4);
  CHECK(folder.files() == 1);
  const SafetensorsFile file(path);
  CHECK(file.metadata() == metadata);
  REQUIRE(file.tensors().size() == 4);
  CHECK(file.tensors()[0].name == "number \xc3\xa9/");  // larger elements first
  CHECK(file.find("other") == nullptr);
  for (const Tensor& t : tensors) {
    const Tensor* const found = file.find(t.name);
    REQUIRE(found != nullptr);
    CHECK(found->type == t.type);
    CHECK(found->shape == t.shape);
    std::string bytes(found->bytes(), '?');
    file.read(*found, bytes.data());
    CHECK(bytes == std::string(found->bytes(), t.name[0]));
  }
  CHECK(read_safetensors(contents_of(path)) == 1);
}

TEST_CASE("a file made by hand from the format's description") {
  // 8 bytes of length, 78 of JSON with two spaces, then 1.5 and -2 in float and 3 in bfloat16.
  const std::string header = R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                             R"("y":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}  )";
  const std::string data("\x00\x00\xc0\x3f\x00\x00\x00\xc0\x40\x40", 10);
  const TemporaryFolder folder;
  write_file(folder.file("a"), bytes_of(header, 0) + data);
  const SafetensorsFile file(folder.file("a"));
  float x[2] = {};
  file.read(*file.find("x"), x);
  CHECK(x[0] == 1.5F);
  CHECK(x[1] == -2.0F);
  std::uint16_t y = 0;
  file.read(*file.find("y"), &y);
  CHECK(y == 0x4040);
  CHECK(file.metadata().empty());
}

TEST_CASE("the bytes of a file") {
  const TemporaryFolder folder;
  checkpoint::write_safetensors(folder.file("a"), {{.name = "x", .type = "U8", .shape = {1}}}, {{"k", "v"}},
                                [](const Tensor&, char* to) { *to = '!'; });
  CHECK(contents_of(folder.file("a")) ==
        std::string("\x50\0\0\0\0\0\0\0", 8) +
            R"({"__metadata__":{"k":"v"},"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}  !)");
}

TEST_CASE("files that are none") {
  CHECK(contains(refusal_of(""), "no safetensors file, or truncated"));
  CHECK(contains(refusal_of("abc"), "no safetensors file, or truncated"));
  CHECK(contains(refusal_of(std::string("\2\0\0\0\0\0\0\0{", 9)), "a header of 2 bytes, and the file has 9"));
  CHECK(contains(refusal_of(std::string("\0\0\0\0\0\0\0\x80{}", 10)), "a header of 9223372036854775808 bytes"));
  CHECK(contains(refusal_of(std::string(8, '\xff') + "{}"), "a header of 18446744073709551615 bytes"));
  CHECK(contains(refusal_of(bytes_of("", 0)), "byte 0 of the header: expected {"));
  CHECK(contains(refusal_of(bytes_of(" {}", 0)), "byte 0 of the header: expected {"));
  CHECK(contains(refusal_of(bytes_of("{", 0)), "byte 1 of the header: expected \""));
  CHECK(contains(refusal_of(bytes_of("{}}", 0)), "byte 2 of the header: expected the end"));
  CHECK(contains(refusal_of(bytes_of("[]", 0)), "expected {"));
  CHECK(contains(refusal_of(bytes_of("{}", 1)), "too long: 1 bytes of data, of 0"));
  CHECK(contains(refusal_of(bytes_of("{\"a\":" + std::string(50000, '[') + "}", 0)), "expected {"));
  const std::string folder = std::filesystem::temp_directory_path().string();
  CHECK(contains(message_of<FileError>([&] { const SafetensorsFile file(folder); }), "is no regular file"));
  const TemporaryFolder own;
  REQUIRE(::mkfifo(own.file("pipe").c_str(), 0600) == 0);
  CHECK(contains(message_of<FileError>([&] { const SafetensorsFile file(own.file("pipe")); }), "is no regular file"));
  CHECK(contains(message_of<FileError>([&] { const SafetensorsFile file(folder + "/none/a"); }),
                 "none/a: cannot be opened: No such file or directory"));
}

TEST_CASE("tensors that cannot be") {
  const auto refusal = [](const std::string& json, std::size_t data = 0) {
    return refusal_of(bytes_of(tensor(json), data));
  };
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[1]})"), "the tensor a lacks dtype, shape or data_offsets"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]})"), "two members shape"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1})"), "a member x"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,2]})"), "are not two numbers"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[1],"data_offsets":[1]})"), "are not two numbers"));
  CHECK(contains(refusal(R"({"dtype":"U7","shape":[1],"data_offsets":[0,1]})", 1), "an unknown type, U7"));
  CHECK(contains(refusal(R"({"dtype":3,"shape":[1],"data_offsets":[0,1]})", 1), "expected \""));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":1,"data_offsets":[0,1]})", 1), "expected ["));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[[1]],"data_offsets":[0,1]})", 1), "expected a whole number"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})", 1), "expected a whole number"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[NaN],"data_offsets":[0,1]})", 1), "expected a whole number"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[],"data_offsets":[0,]})", 1), "expected a whole number"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[1.0],"data_offsets":[0,1]})", 1), "a number is not whole"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[1e0],"data_offsets":[0,1]})", 1), "a number is not whole"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[01],"data_offsets":[0,1]})", 1), "begins with a zero"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]})", 1),
                 "a number is not below 2^64"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,18446744073709551615]})"),
                 "is too large"));
  CHECK(contains(refusal(R"({"dtype":"F64","shape":[1152921504606846976],"data_offsets":[0,0]})"), "is too large"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]})"), "is too large"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]})"), "is too large"));
  CHECK(contains(refusal(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", 4), "do not give the 8 bytes"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[1],"data_offsets":[2,1]})", 1), "do not give the 1 bytes"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})", 3), "truncated: 3 bytes of data, of 4"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})", 5), "too long: 5 bytes of data, of 4"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[4],"data_offsets":[1,5]})", 5), "come after a gap"));
  CHECK(contains(refusal(R"({"dtype":"U8","shape":[1],"data_offsets":[9223372036854775808,9223372036854775809]})", 1),
                 "come after a gap"));
  const auto two = [](const std::string& b, std::size_t data) {
    return refusal_of(bytes_of(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)" + b + "}", data));
  };
  CHECK(contains(two(R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]})", 3), "b overlap those of another"));
  CHECK(contains(two(R"("b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]})", 2), "overlap those of another"));
  CHECK(contains(two(R"("b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]})", 5), "b come after a gap"));
  CHECK(contains(two(R"("a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]})", 4), "two tensors are called a"));
  CHECK(contains(two(R"("\u0061":{"dtype":"U8","shape":[2],"data_offsets":[2,4]})", 4), "two tensors are called a"));
}

TEST_CASE("strings") {
  CHECK(value_of(R"("\u00e9\uD83D\uDE00\"\\\/\b\f\n\r\t")") == "\xc3\xa9\xf0\x9f\x98\x80\"\\/\b\f\n\r\t");
  CHECK(value_of(R"("\u0000\u007f\u0080\u07ff\u0800\uffff")") ==
        std::string("\0\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf", 12));
  const auto refusal = [](const std::string& json) { return refusal_of(bytes_of(text(json), 0)); };
  for (const char* const json :
       {R"("\ud800")", R"("\ud800x")", R"("\ud800\n")", R"("\ud800\ud800")", R"("\udc00")", R"("\ud800\u0041")"}) {
    CHECK(contains(refusal(json), "half of a surrogate pair"));
  }
  for (const char* const json : {R"("\u12")", R"("\u12g4")", R"("\u")"}) {
    CHECK(contains(refusal(json), "four hexadecimal digits"));
  }
  CHECK(contains(refusal(R"("\x41")"), "an escape that there is not"));
  CHECK(contains(refusal("\"\n\""), "a control character"));
  CHECK(contains(refusal_of(bytes_of("{\"a", 0)), "a string does not end"));
  CHECK(contains(refusal_of(bytes_of("{\"a\\", 0)), "an escape that there is not"));
  // A lone tail, overlong forms, a surrogate, beyond the last character, cut short.
  for (const char* const bytes : {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
                                  "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xc3("}) {
    CHECK(contains(refusal("\"" + std::string(bytes) + "\""), "a string is not UTF-8"));
    CHECK(!is_utf8(bytes));
  }
  CHECK(contains(refusal_of(bytes_of(R"({"__metadata__":{"a":1}})", 0)), "expected \""));
  CHECK(contains(refusal_of(bytes_of(R"({"__metadata__":{"a":"1","a":"1"}})", 0)), "two metadata are called a"));
  CHECK(contains(refusal_of(bytes_of(R"({"__metadata__":{},"__metadata__":{}})", 0)), "two tensors are called"));
  CHECK(contains(refusal_of(bytes_of(R"({"__metadata__":null})", 0)), "expected {"));
}

TEST_CASE("what the format cannot hold is not written") {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::vector<Tensor>& tensors, const Metadata& metadata = {}) {
    const std::string message = message_of(
        [&] { checkpoint::write_safetensors(folder.file("a"), tensors, metadata, [](const Tensor&, char*) {}); });
    CHECK(folder.files() == 0);
    return message;
  };
  CHECK(contains(refusal({{.name = "a", .type = "F12", .shape = {}}}), "type = F12"));
  CHECK(contains(refusal({{.name = "\xff", .type = "U8", .shape = {}}}), "must be UTF-8"));
  CHECK(contains(refusal({{.name = "__metadata__", .type = "U8", .shape = {}}}), "must be that of one tensor"));
  CHECK(contains(refusal({{.name = "a", .type = "U8", .shape = {}}, {.name = "a", .type = "I8", .shape = {}}}),
                 "name = a, but it must be that of one tensor"));
  CHECK(contains(refusal({{.name = "a", .type = "F64", .shape = {std::uint64_t{1} << 60, 2}}}), "shape = ["));
  CHECK(contains(refusal({{.name = "a", .type = "U8", .shape = {std::uint64_t{1} << 62}},
                          {.name = "b", .type = "U8", .shape = {1}}}),
                 "shape = [1]"));
  CHECK(contains(refusal({}, {{"a", "\xff"}}), "metadata = a"));
}

TEST_CASE("a file that cannot be written leaves the old one, and nothing beside it") {
  const TemporaryFolder folder;
  const std::string path = folder.file("a");
  write_numbers(path, 7);
  const std::string before = contents_of(path);
  CHECK(contains(message_of<FileError>([&] { write_numbers(folder.file("none/a"), 1); }),
                 "none/a: a temporary file cannot be created in its folder: No such file or directory"));
  std::filesystem::create_directory(folder.file("folder"));
  CHECK(contains(message_of<FileError>([&] { write_numbers(folder.file("folder"), 1); }), "cannot be replaced"));
  CHECK(folder.files() == 2);
  CHECK(message_of<std::runtime_error>([&] {
          checkpoint::write_safetensors(path, {{.name = "a", .type = "U8", .shape = {4}}}, {},
                                        [](const Tensor&, char*) { throw std::runtime_error("no data"); });
        }) == "no data");
  CHECK(folder.files() == 2);
  // As a full disk: no file may grow beyond 16 bytes.
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{16, old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = message_of<FileError>([&] { write_numbers(path, 1); });
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK(contains(message, path + ": cannot be written: File too large"));
  CHECK(folder.files() == 2);
  CHECK(contents_of(path) == before);
  if (geteuid() != 0) {  // who is root may write everywhere
    std::filesystem::permissions(folder.path(),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
    CHECK(contains(message_of<FileError>([&] { write_numbers(path, 1); }), "Permission denied"));
    std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
  }
  CHECK(contents_of(path) == before);
  write_numbers(path, 1);
  CHECK(contents_of(path) != before);
}

TEST_CASE("a reader keeps the file that it opened") {
  const TemporaryFolder folder;
  write_numbers(folder.file("a"), 7);
  const SafetensorsFile old(folder.file("a"));
  write_numbers(folder.file("a"), 8);
  double numbers[4] = {};
  old.read(old.tensors()[0], numbers);
  CHECK(numbers[0] == 7);
  const SafetensorsFile now(folder.file("a"));
  now.read(now.tensors()[0], numbers);
  CHECK(numbers[0] == 8);
  std::filesystem::resize_file(folder.file("a"), 100);
  CHECK(contains(message_of<FileError>([&] { now.read(now.tensors()[0], numbers); }), "has become shorter"));
}

TEST_CASE("numbers go through metadata exactly") {
  checkpoint::Manifest manifest{.version = "1.2.3", .seed = std::numeric_limits<std::uint64_t>::max()};
  manifest.groups.push_back({.rule = "a", .lr_factor = 0.1});
  manifest.parameters["w/x"] = {.group = 0, .shape = "3", .blocks = "1 block", .decay_factor = 0.1};
  manifest.notes = {{"", ""}, {"a/b", "c"}};
  double number = 1;
  for (int k = 0; k < 2000; ++k) {
    number = number * -1.7320508075688772 / (k % 3 == 0 ? 1e5 : 7);
    manifest.groups[0].numbers[std::to_string(k)] = number;
  }
  using Limits = std::numeric_limits<double>;
  const double special[] = {0.0,
                            -0.0,
                            1.0 / 3,
                            Limits::denorm_min(),
                            Limits::min(),
                            Limits::max(),
                            -Limits::max(),
                            Limits::infinity(),
                            1e22,
                            123456789012345678.0};
  for (const double x : special)
    manifest.groups[0].numbers["x" + std::to_string(manifest.groups[0].numbers.size())] = x;
  const checkpoint::Manifest again = checkpoint::manifest_of(checkpoint::to_metadata(manifest), "text");
  CHECK(again == manifest);
  for (const auto& [name, x] : manifest.groups[0].numbers) {
    CHECK(std::memcmp(&again.groups[0].numbers.at(name), &x, sizeof(x)) == 0);
  }
}

TEST_CASE("metadata that no checkpoint has") {
  checkpoint::Manifest manifest{.version = "1.2.3", .seed = 3};
  manifest.groups.resize(2, {.rule = "a", .numbers = {{"lr", 0.5}}});
  manifest.parameters["w"] = {.group = 1, .shape = "3", .blocks = "1 block"};
  const Metadata good = checkpoint::to_metadata(manifest);
  const auto refusal = [](const Metadata& metadata) {
    return message_of<FileError>([&] { (void)checkpoint::manifest_of(metadata, "p"); });
  };
  const auto with = [&](const std::string& key, const std::string& value) {
    Metadata metadata = good;
    metadata[key] = value;
    return refusal(metadata);
  };
  CHECK(contains(refusal({}), "p: is a safetensors file, but no checkpoint"));
  for (const auto& [key, value] : good) {  // every key is needed, but for the numbers, which the rule asks for
    if (contains(key, "number/")) continue;
    CAPTURE(key);
    Metadata metadata = good;
    metadata.erase(key);
    CHECK(!refusal(metadata).empty());
  }
  CHECK(contains(with("schatten/format", "2"), "format 2; this library reads format 1"));
  for (const char* const value : {"", "-1", "+1", "1.5", " 1", "1 ", "0x1", "18446744073709551616", "nan"}) {
    CHECK(contains(with("group/0/steps", value), "group/0/steps = " + std::string(value)));
    CHECK(contains(with("schatten/seed", value), "schatten/seed = "));
    CHECK(contains(with("parameter/w/group", value), "parameter/w/group = "));
  }
  for (const char* const value : {"nan", "-nan", "NaN", "", "1x", "1e999", "0x1p3", " 1", "--1"}) {
    CHECK(contains(with("group/1/number/lr", value), "group/1/number/lr = " + std::string(value)));
  }
  for (const char* const value : {"nan", "inf", "-1"}) {
    CHECK(contains(with("group/1/lr_factor", value), "lr_factor = "));
    CHECK(contains(with("parameter/w/decay_factor", value), "decay_factor = "));
  }
  CHECK(contains(with("parameter/w/group", "2"), "lack the group of the parameter w"));
  CHECK(contains(with("parameter/w/paused", "2"), "parameter/w/paused = 2"));
  CHECK(contains(with("group/3/rule", "a"), "lack a group"));
  CHECK(contains(with("group/01/rule", "a"), "unknown key group/01/rule"));
  for (const char* const key : {"other", "schatten/x", "group/0/x", "group/0", "group/0/", "parameter/w/x",
                                "parameter/w", "parameter//shape", "parameter", "number/lr"}) {
    CHECK(contains(with(key, "0"), "unknown key " + std::string(key)));
  }
}

TEST_CASE("the fuzzer's corpus") {
  // Next to this file: what a name begins with is what the reader says. The fuzzer's own inputs begin with "found".
  const auto folder = std::filesystem::path(__FILE__).parent_path() / "fuzz/corpus/safetensors";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string(), bytes = contents_of(entry.path().string());
    CAPTURE(name);
    const int level = read_safetensors(bytes);
    if (name.starts_with("bad-")) CHECK(level == 0);
    if (name.starts_with("file-")) CHECK(level == 1);
    if (name.starts_with("checkpoint-")) CHECK(level == 2);
    for (std::size_t size = 0; size < bytes.size(); ++size) {  // cut anywhere, and with one byte changed
      std::string changed = bytes;
      const int of_less = read_safetensors(std::string_view(bytes).substr(0, size));
      if (level > 0) CHECK(of_less == 0);
      changed[size] = char(changed[size] ^ (1 + int(size) % 255));
      CHECK_NOTHROW((void)read_safetensors(changed));
    }
    ++files;
  }
  CHECK(files > 30);
}
