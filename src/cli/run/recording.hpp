// SPDX-License-Identifier: Apache-2.0
// What happens in runs, line by line: packets, helper calls with what their arguments point to, results, verdicts.
// `skep run --record` writes the lines, `skep replay` compares the same lines of another engine with them.
//
//   skep-record 2
//   engine E, program P, seed N, ifindex N, personality P, name N, object HEX, init HEX     each once, in this order
//   core PROGRAM ANSWER...        what its CO-RE relocations were answered with
//   kconfig NAME VALUE            what programs were told of the kernel
//   run N HEX                     the packet; or context N HEX, the text of one of --contexts
//   call HELPER(ARGUMENT, ...)    numbers, names of maps, bytes of keys, values and memory
//   result HELPER RESULT          number, bytes of the value, null; then what the helper wrote
//   end VERDICT ...               and the packet as it is then; of a context, what changed
//   map NAME / entry KEY VALUE... / event HEX ...   once, behind the last run
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/file.hpp"
#include "cli/run/backend.hpp"
#include "maps/map.hpp"
#include "runtime/load/loaded_object.hpp"

namespace skep::cli {

/// Everything that a replay needs besides the lines.
struct RecordHead {
    std::string engine, program, personality, name;  ///< personality: "" if the object tells it
    uint64_t seed = 0;
    uint32_t ifindex = 1;
    Buffer object, init;  ///< the object's file; the text of --map-init
    // What the programs were adapted to; the writer has it of the loaded object. Records of version 1 do not say.
    runtime::CoreAnswers core_answers;
    runtime::KernelValues kernel_values;

    /// Nothing (skep's own) where the record does not say.
    runtime::KernelConfig kernel_config() const {
        if (kernel_values.empty()) return {};
        return runtime::KernelConfig::of("the record", kernel_values);
    }
};

/// Watches one loaded object's runs. One run at a time, on one thread.
class Recording {
  public:
    virtual ~Recording() = default;
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

    /// The helpers' table for LoadOptions::helpers: each watches, then does what the runtime's own does.
    static std::span<const skep_helper_fn> helpers();
    /// Before the first run. The maps must outlive the runs.
    void watch(runtime::LoadedObject& loaded) {
        loaded_ = &loaded;
        adapted(loaded);
    }

    void begin_run(Bytes packet);
    void end_run(const PacketReport& report);
    /// The same for a context of --contexts; `changed`: its fields, as they are shown.
    void begin_context(std::string_view json);
    void end_context(platform::Verdict verdict, std::string_view changed);
    /// Behind the last run.
    Result<void> finish(const object::ObjectSpec& spec, Backend& backend);
    using ContentsOf = std::function<Result<std::optional<MapContents>>(uint32_t map)>;
    Result<void> finish(const object::ObjectSpec& spec, const ContentsOf& contents,
                        const std::vector<EventLog>& events);

    uint64_t runs() const { return runs_; }
    uint64_t events() const { return events_; }
    /// For the helpers of the table alone.
    uint64_t call(size_t index, const uint64_t (&r)[5], skep_runtime_context* context);

  protected:
    Recording() = default;
    /// Takes the next line.
    virtual void take(std::string line) = 0;
    /// Once, before the first line.
    virtual void adapted(const runtime::LoadedObject&) {}
    /// The number that the next line of `helper` has as its result, if it was recorded: what time and chance gave then.
    virtual std::optional<uint64_t> recorded_result(std::string_view helper) = 0;

  private:
    void line(std::string text) {
        ++events_;
        take(std::move(text));
    }
    std::string map_name(const maps::Map* map) const;

    runtime::LoadedObject* loaded_ = nullptr;
    uint64_t runs_ = 0, events_ = 0;
};

class RecordWriter final : public Recording {
  public:
    /// Errors: CannotRead.
    static Result<std::unique_ptr<RecordWriter>> create(const std::string& path, const RecordHead& head);
    /// Errors: CannotRead (not everything could be written).
    Result<void> close();

  private:
    explicit RecordWriter(NewFile file) : file_(std::move(file)) {}
    void take(std::string text) override;
    void adapted(const runtime::LoadedObject& loaded) override;
    std::optional<uint64_t> recorded_result(std::string_view) override { return std::nullopt; }

    NewFile file_;
};

/// A file of records, read whole.
struct Record {
    RecordHead head;
    std::vector<std::string> lines;  ///< from the first "run" on

    /// Errors: Malformed (no record), Unsupported (another version), Syntax (which line), Truncated.
    static Result<Record> parse(Bytes text);
};

/// Compares what happens with a record, up to the first difference.
class RecordReader final : public Recording {
  public:
    explicit RecordReader(const Record& record) : record_(&record) {}

    struct Difference {
        size_t line = 0;                  ///< index into Record::lines
        uint64_t run = 0;                 ///< from 1
        std::string recorded, here;       ///< "" where one has ended
        std::vector<std::string> before;  ///< lines both had, the last ones of that run
    };
    const std::optional<Difference>& difference() const { return difference_; }
    /// The next recorded packet, or the text of the next context; nothing behind the last run, or after a difference.
    /// Errors: Syntax.
    Result<std::optional<Buffer>> next_packet();
    Result<std::optional<Buffer>> next_context();
    /// Whether the record is of contexts.
    bool of_contexts() const;
    /// Behind finish(): what was recorded and did not happen is a difference too.
    void expect_end();

  private:
    void take(std::string text) override;
    std::optional<uint64_t> recorded_result(std::string_view helper) override;
    void differ(std::string here);

    const Record* record_;
    size_t at_ = 0;
    std::optional<Difference> difference_;
};

}  // namespace skep::cli
