// SPDX-License-Identifier: Apache-2.0
// `skep sign`: signs a native module; `skep keygen`: keys to try it out with.
#include <fmt/format.h>

#include <filesystem>

#include "cli/command.hpp"
#include "cli/file.hpp"
#include "cli/json.hpp"
#include "cli/module_options.hpp"
#include "module/image.hpp"
#include "module/os/process.hpp"
#include "module/signature.hpp"

namespace skep::cli {

namespace {

using module::Buffer;

/// Authenticode, by the program that Debian has for it.
Result<void> sign_pe(const std::string& file, const std::string& key, const std::string& certificate,
                     const std::string& chain, const std::string& to) {
    const auto absolute = [](const std::string& path) { return std::filesystem::absolute(path).string(); };
    // It writes no file that is there already, and never its own input.
    const std::string fresh = absolute(to) + ".signing";
    const module::HeldInterrupts held;  // an interrupt finds no half-written file
    std::error_code ignored;
    std::filesystem::remove(fresh, ignored);
    module::ProcessRequest request;
    request.words = {"osslsigncode", "sign", "-h", "sha256", "-certs", absolute(certificate), "-key", absolute(key)};
    if (!chain.empty()) request.words.insert(request.words.end(), {"-ac", absolute(chain)});
    request.words.insert(request.words.end(), {"-in", absolute(file), "-out", fresh});
    request.folder = ".";
    request.environment = {"LC_ALL=C"};
    SKEP_ASSIGN(const module::ProcessResult result, module::run_process(request));
    if (result.exit_code != 0 || result.timed_out || result.interrupted) {
        std::filesystem::remove(fresh, ignored);
        return Error(Errc::Unavailable, "the module could not be signed", "osslsigncode says: " + result.text)
            .in_file(file);
    }
    std::error_code error;
    std::filesystem::rename(fresh, to, error);
    if (error) return Error(Errc::CannotRead, "the signed module could not be written", error.message()).in_file(to);
    return {};
}

Result<int> run_sign(const Arguments& arguments, Output& output) {
    const std::string path = *arguments.text("MODULE");
    const auto key = arguments.text("key"), certificate = arguments.text("cert");
    if (!key || !certificate)
        return Error(Errc::InvalidArgument, "it is not said who signs", {}, "name --key and --cert, both PEM");
    const std::string to = arguments.text_or("output", path), chain = arguments.text_or("chain", "");
    SKEP_ASSIGN(const Buffer file, read_file(path));
    if (!module::is_native_image(file))
        return Error(Errc::Malformed, "only native modules are signed",
                     "it is neither a shared library nor a Windows image", "skep compile makes one of an object")
            .in_file(path);
    auto parts = module::split_signature(file);
    if (!parts) return std::move(parts).error().in_file(path);
    const module::SplitImage& split = *parts;
    // Nobody signs what nobody would load.
    auto facts = module::inspect_image(split.content);
    if (!facts) return std::move(facts).error().in_file(path);
    module::SigningKey signing;
    SKEP_ASSIGN(signing.key, read_pem(*key, "PRIVATE KEY"));
    SKEP_ASSIGN(signing.certificate, read_pem(*certificate, "CERTIFICATE"));
    if (!chain.empty()) {
        SKEP_ASSIGN(signing.chain, read_pem(chain, "CERTIFICATE"));
    }
    if (read_le<uint16_t>(file, 0) == 0x5a4du) {
        SKEP_TRY(sign_pe(path, *key, *certificate, chain, to));
    } else {
        SKEP_ASSIGN(const Buffer signature, module::make_signature(split.content, signing));
        SKEP_TRY(write_file(to, module::append_signature(split.content, signature)));
    }
    if (!split.signature.empty()) output.warn("its earlier signature is replaced");
    if (output.json)
        output.print(Json::object().set("file", to));
    else
        output.out(fmt::format("{}: signed\n", to));
    return exit_done;
}

Result<int> run_keygen(const Arguments& arguments, Output& output) {
    const auto folder = arguments.text("test-root");
    if (!folder)
        return Error(Errc::InvalidArgument, "only keys for trying things out are made", {}, "say --test-root FOLDER");
    std::error_code error;
    std::filesystem::create_directories(*folder, error);
    if (error) return Error(Errc::CannotRead, "the folder cannot be made", error.message()).in_file(*folder);
    module::TestKeyOptions options;
    if (const auto days = arguments.number("days")) {
        if (*days == 0 || *days > 36500)
            return Error(Errc::InvalidArgument, "the signer's certificate is for 1 to 36500 days");
        options.ends_after_seconds = static_cast<int64_t>(*days) * 24 * 3600;
    }
    const std::string flaw = arguments.text_or("flaw", "");
    constexpr int64_t hour = 3600;
    if (flaw == "expired") {
        options.starts_after_seconds = -2 * hour;
        options.ends_after_seconds = -hour;
    } else if (flaw == "early") {
        options.starts_after_seconds = hour;
    } else if (flaw == "usage") {
        options.code_signing = false;
    }
    SKEP_ASSIGN(const module::TestKeys keys, module::make_test_keys(options));
    const std::pair<const char*, const Buffer*> files[] = {{"root.key", &keys.root_key},
                                                           {"root.pem", &keys.root_certificate},
                                                           {"signer.key", &keys.signer_key},
                                                           {"signer.pem", &keys.signer_certificate}};
    for (const auto& [name, bytes] : files) {
        const std::string path = *folder + "/" + name;
        if (std::filesystem::exists(path, error))
            return Error(Errc::Exists, "there are keys already", {}, "remove them, or name another folder")
                .in_file(path);
    }
    for (const auto& [name, bytes] : files) {
        const std::string path = *folder + "/" + name;
        const bool secret = std::string_view(name).ends_with(".key");
        SKEP_TRY(write_file(path, *bytes, secret ? NewFile::Readers::Owner : NewFile::Readers::Anyone));
    }
    if (output.json)
        output.print(Json::object().set("folder", *folder));
    else
        output.out(fmt::format("{0}: root.pem to trust, signer.key and signer.pem to sign with (for trying out only)\n",
                               *folder));
    return exit_done;
}

constexpr PositionalSpec sign_positionals[] = {{"MODULE", "a native module"}};
constexpr OptionSpec sign_options[] = {
    {"--key", Kind::File, "FILE", "the signer's private key, PEM"},
    {"--cert", Kind::File, "FILE", "its certificate, PEM; its extended key usage has to name codeSigning"},
    {"--chain", Kind::File, "FILE", "certificates between it and the root, PEM"},
    {"-o,--output", Kind::File, "FILE", "where the signed module goes (its own place)"},
};
constexpr Example sign_examples[] = {
    {"skep keygen --test-root keys && skep sign prog.so --key keys/signer.key --cert keys/signer.pem",
     "a signature that holds for whoever trusts keys/root.pem"}};
constexpr OptionSpec keygen_options[] = {
    {"--test-root", Kind::File, "FOLDER", "where the keys go"},
    {"--days", Kind::Number, "N", "how long the signer's certificate is valid (365)"},
    {"--flaw", Kind::Choice, "expired|early|usage",
     "a signer who must be refused: whose certificate has expired, is not valid yet, or is not for signing code"},
};
constexpr Example keygen_examples[] = {{"skep keygen --test-root keys", "a root, and a signer below it"}};

}  // namespace

extern const Command sign_command;
constinit const Command sign_command = {"sign",
                                        "signs a native module",
                                        "ELF modules get a CMS signature behind them, in the layout of the kernel's "
                                        "sign-file; PE modules get Authenticode\n"
                                        "(by osslsigncode).",
                                        sign_positionals,
                                        sign_options,
                                        sign_examples,
                                        run_sign};

extern const Command keygen_command;
constinit const Command keygen_command = {
    "keygen",
    "makes keys for trying signatures out",
    "A root that signs nothing but certificates, and a signer's key below it, valid for a year.",
    {},
    keygen_options,
    keygen_examples,
    run_keygen};

}  // namespace skep::cli
