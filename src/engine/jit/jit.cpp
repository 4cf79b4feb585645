// SPDX-License-Identifier: Apache-2.0
#include "engine/jit/jit.hpp"

#include "base/os.hpp"
#include "engine/jit/analysis.hpp"
#include "engine/jit/emitter_x64.hpp"
#include "engine/jit/translator_x64.hpp"

namespace skep::engine::jit {

namespace {

/// Pages that are written once and then executed.
class NativeCode final : public CompiledCode {
  public:
    NativeCode() = default;
    ~NativeCode() override {
        if (pages_ != nullptr) skep_os_pages_free(pages_, reserved_);
    }

    Result<void> take(EmitterX64& emitter, Label entry) {
        SKEP_ASSIGN(reserved_, emitter.finish());
        pages_ = skep_os_pages_alloc(reserved_);
        if (pages_ == nullptr) return Error{Errc::NoMemory, "no pages for native code"};
        SKEP_ASSIGN(bytes_, emitter.copy_to(pages_, reinterpret_cast<uint64_t>(pages_)));
        if (const int error = skep_os_pages_protect_rx(pages_, reserved_); error != 0)
            return Error{Errc::AccessDenied,
                         "pages cannot be made executable",
                         {},
                         "a policy of the host may forbid it: run the program as a native module"};
        entry_ = static_cast<std::byte*>(pages_) + emitter.label_offset(entry);
        return {};
    }

    skep_entry entry() const override { return {reinterpret_cast<skep_entry_fn>(entry_), nullptr}; }
    size_t code_bytes() const override { return bytes_; }
    std::span<const std::byte> native_code() const override { return {static_cast<const std::byte*>(pages_), bytes_}; }

  private:
    void* pages_ = nullptr;
    size_t reserved_ = 0;
    size_t bytes_ = 0;
    std::byte* entry_ = nullptr;
};

}  // namespace

bool available() { return true; }

Result<std::unique_ptr<CompiledCode>> compile(const ExecutableProgram& program, const LinkTable& link,
                                              const JitOptions& options) {
    SKEP_ASSIGN(const Analysis analysis, analyse(program));
    EmitterX64 emitter(analysis.nodes.size());
    Translator translator(program, link, options, analysis, emitter);
    SKEP_TRY(translator.run());
    auto code = std::make_unique<NativeCode>();
    SKEP_TRY(code->take(emitter, translator.entry()));
    return std::unique_ptr<CompiledCode>(std::move(code));
}

}  // namespace skep::engine::jit
