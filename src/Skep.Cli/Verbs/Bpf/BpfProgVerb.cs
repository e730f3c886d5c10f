using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Skep.Bpf.Asm;
using Skep.Bpf.Inspection;
using Skep.Bpf.Programs;
using Skep.Cli.Output;
using Spectre.Console;

namespace Skep.Cli.Verbs.Bpf;

/// <summary><c>skep bpf prog</c>: the programs in the kernel.</summary>
internal static class BpfProgVerb
{
    private const int BytesPerLine = 16;
    private const int LeastPacket = 14;

    public static Command Build() => new VerbCommand("prog", "Look at the programs in the kernel.", "skep bpf prog list", "skep bpf prog dump xlated 42")
    {
        List(), Show(), Dump(), Stats(), Run(),
    };

    private static VerbCommand List()
    {
        var json = CommonOptions.Json();
        return new VerbCommand("list", "List all programs, with the processes that hold them and their pins (root).", "skep bpf prog list", "skep bpf prog list --json")
        {
            json,
        }.Runs(result =>
        {
            var (owners, pins) = (ObjectOwners.Read(), ObjectPins.Read());
            var programs = BpfObject.All(BpfObjectKind.Program, id => ProgramDetails.Read(id)).ToArray();
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(new JsonArray([.. programs.Select(p => Describe(p, owners, pins))]).ToJsonString());
                return ExitCode.Ok;
            }

            var table = Screen.Table("id", "type", "name", "tag", "xlated", "jited", "maps", "held by");
            foreach (var p in programs)
            {
                table.AddRow(
                    Number(p.Id), p.Type.ToString(), Cell(p.Name), p.Tag, Number(p.TranslatedBytes), Number(p.JitedBytes),
                    string.Join(',', p.MapIds), Cell(BpfObject.Holders(BpfObjectKind.Program, p.Id, owners, pins)));
            }

            Screen.For(output).Write(table);
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Show()
    {
        var which = BpfObject.Argument(BpfObjectKind.Program);
        var json = CommonOptions.Json();
        return new VerbCommand("show", "Show what the kernel knows of one program (root).", "skep bpf prog show 42", "skep bpf prog show /sys/fs/bpf/skep/edge_xdp --json")
        {
            which, json,
        }.Runs(result =>
        {
            var p = Open(result.GetValue(which)!);
            var (owners, pins) = (ObjectOwners.Read(), ObjectPins.Read());
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(Describe(p, owners, pins).ToJsonString());
                return ExitCode.Ok;
            }

            output.WriteLine($"program {p.Id}: {p.Type} {Safe.Text(p.Name)}, tag {p.Tag}");
            output.WriteLine($"  loaded {TimeSpan.FromMilliseconds(Environment.TickCount64) - p.LoadTime:d\\.hh\\:mm\\:ss} ago by user {p.UserId}{(p.IsGplCompatible ? ", GPL-compatible" : "")}");
            output.WriteLine($"  {p.TranslatedBytes} bytes of eBPF, {p.JitedBytes} of machine code, {p.Memory} of memory; the verifier walked {p.VerifiedInstructions} instructions");
            output.WriteLine($"  maps: {(p.MapIds.Count == 0 ? "none" : string.Join(", ", p.MapIds))}; BTF: {(p.BtfId == 0 ? "none" : p.BtfId)}");
            if (p.Runs > 0)
            {
                output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {p.Runs} runs counted, {(double)p.RunNanoseconds / p.Runs:0.#} ns each"));
            }

            output.WriteLine($"  held by: {BpfObject.Holders(BpfObjectKind.Program, p.Id, owners, pins)}");
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Dump() => new("dump", "Print the code of a program.", "skep bpf prog dump xlated 42", "skep bpf prog dump jited edge_xdp")
    {
        DumpTranslated(), DumpJited(),
    };

    private static VerbCommand DumpTranslated()
    {
        var which = BpfObject.Argument(BpfObjectKind.Program);
        var json = CommonOptions.Json();
        return new VerbCommand("xlated", "Print the instructions as the verifier left them, with source lines (root).", "skep bpf prog dump xlated 42", "skep bpf prog dump xlated 42 --json")
        {
            which, json,
        }.Runs(result =>
        {
            var dump = BpfObject.Read(BpfObjectKind.Program, Find(result.GetValue(which)!), ProgramDump.Read);
            var output = result.InvocationConfiguration.Output;
            Require(dump.Instructions.Count > 0, "instructions");
            var rows = new JsonArray();
            var lines = dump.Lines.ToLookup(l => l.Slot);
            var functions = dump.Functions.ToLookup(f => f.Slot);
            for (var slot = 0; slot < dump.Instructions.Count; slot++)
            {
                var instruction = dump.Instructions[slot];
                var text = Disassembler.Format(instruction, slot + 1 < dump.Instructions.Count ? dump.Instructions[slot + 1] : default);
                if (result.GetValue(json))
                {
                    var line = lines[(uint)slot].FirstOrDefault();
                    rows.Add(new JsonObject { ["slot"] = slot, ["code"] = instruction.Code, ["text"] = text, ["line"] = line is null ? null : Describe(line) });
                }
                else
                {
                    foreach (var function in functions[(uint)slot].Where(f => f.Name.Length > 0))
                    {
                        output.WriteLine($"{Safe.Text(function.Name)}:");
                    }

                    foreach (var line in lines[(uint)slot])
                    {
                        output.WriteLine($"; {Place(line)}");
                    }

                    output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{slot,4}: ({instruction.Code:x2}) {text}"));
                }

                slot += instruction.IsWideLoad ? 1 : 0;
            }

            WriteRows(result, json, rows);
            return ExitCode.Ok;
        });
    }

    private static VerbCommand DumpJited()
    {
        var which = BpfObject.Argument(BpfObjectKind.Program);
        var json = CommonOptions.Json();
        return new VerbCommand("jited", "Print the machine code, hexadecimal, under the source lines it was made from (root).", "skep bpf prog dump jited 42")
        {
            which, json,
        }.Runs(result =>
        {
            var dump = BpfObject.Read(BpfObjectKind.Program, Find(result.GetValue(which)!), ProgramDump.Read);
            var output = result.InvocationConfiguration.Output;
            Require(dump.MachineCode.Length > 0, "machine code");
            var rows = new JsonArray();
            var begin = 0;
            foreach (var function in dump.Functions.Where(f => f.Length > 0))
            {
                var code = dump.MachineCode.Slice(begin, (int)Math.Min(function.Length, dump.MachineCode.Length - begin));
                begin += code.Length;
                if (!result.GetValue(json))
                {
                    output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{(function.Name.Length == 0 ? "function" : Safe.Text(function.Name))}: {code.Length} bytes{(function.Address == 0 ? "" : $" at 0x{function.Address:x}")}"));
                }

                foreach (var (offset, length, line) in Pieces(function, code.Length, dump.Lines))
                {
                    var bytes = code.Slice(offset, length).ToArray();
                    if (result.GetValue(json))
                    {
                        rows.Add(new JsonObject
                        {
                            ["function"] = function.Name, ["offset"] = offset, ["code"] = Convert.ToHexStringLower(bytes), ["line"] = line is null ? null : Describe(line),
                        });
                        continue;
                    }

                    output.WriteLine(line is null ? "" : $"; {Place(line)}");
                    for (var at = 0; at < length; at += BytesPerLine)
                    {
                        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{offset + at,6:x}: {string.Join(' ', bytes.Skip(at).Take(BytesPerLine).Select(b => b.ToString("x2", CultureInfo.InvariantCulture)))}"));
                    }
                }
            }

            WriteRows(result, json, rows);
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Stats()
    {
        var seconds = new Option<double>("--seconds") { Description = "How long to count.", DefaultValueFactory = _ => 1, HelpName = "seconds" };
        var json = CommonOptions.Json();
        return new VerbCommand("stats", "Count runs and run time of all programs for a while, and print rates (root; costs about 20 ns a run meanwhile).", "skep bpf prog stats", "skep bpf prog stats --seconds 10 --json")
        {
            seconds, json,
        }.Runs(async (result, cancel) =>
        {
            var interval = result.GetValue(seconds);
            if (!(interval is > 0 and <= 3600))
            {
                throw new VerbException("--seconds: more than 0, at most 3600.", ExitCode.Usage);
            }

            using var counting = new RunStatisticsSwitch();
            var before = BpfObject.All(BpfObjectKind.Program, id => ProgramDetails.Read(id)).ToDictionary(p => p.Id);
            var started = TimeProvider.System.GetTimestamp();
            await Task.Delay(TimeSpan.FromSeconds(interval), cancel);
            var elapsed = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
            var rows = BpfObject.All(BpfObjectKind.Program, id => ProgramDetails.Read(id))
                .Select(p => (Program: p, Runs: p.Runs - (before.GetValueOrDefault(p.Id)?.Runs ?? 0), Time: p.RunNanoseconds - (before.GetValueOrDefault(p.Id)?.RunNanoseconds ?? 0)))
                .OrderByDescending(r => r.Time).ToArray();
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(new JsonArray([.. rows.Select(r => (JsonNode)new JsonObject
                {
                    ["id"] = r.Program.Id, ["name"] = r.Program.Name, ["type"] = r.Program.Type.ToString(), ["runs"] = r.Runs, ["nanoseconds"] = r.Time, ["seconds"] = Math.Round(elapsed, 3),
                })]).ToJsonString());
                return ExitCode.Ok;
            }

            var table = Screen.Table("id", "type", "name", "runs/s", "ns/run", "of one CPU");
            foreach (var (p, runs, time) in rows.Where(r => r.Runs > 0))
            {
                table.AddRow(Number(p.Id), p.Type.ToString(), Cell(p.Name), Fixed(runs / elapsed, "0.#"), Fixed((double)time / runs, "0"), Fixed(time / elapsed / 1e7, "0.00") + "%");
            }

            Screen.For(output).Write(table);
            return ExitCode.Ok;
        });
    }

    private static VerbCommand Run()
    {
        var which = BpfObject.Argument(BpfObjectKind.Program);
        var packet = new Option<string?>("--packet") { Description = "The packet in hexadecimal, from the Ethernet header on; zeros unless given.", HelpName = "hex" };
        var length = new Option<int>("--length") { Description = "Bytes of the packet when none is given.", DefaultValueFactory = _ => 64, HelpName = "bytes" };
        var repeat = new Option<int>("--repeat") { Description = "Runs.", DefaultValueFactory = _ => 1, HelpName = "times" };
        var json = CommonOptions.Json();
        return new VerbCommand("run", "Run a program in the kernel on a packet and print its verdict (root); maps it writes are the live ones.", "skep bpf prog run 42", "skep bpf prog run edge_xdp --packet ffffffffffff0200000000010800 --repeat 1000000")
        {
            which, packet, length, repeat, json,
        }.Runs(result =>
        {
            var bytes = Packet(result.GetValue(packet), result.GetValue(length));
            if (result.GetValue(repeat) < 1)
            {
                throw new VerbException("--repeat: at least 1.", ExitCode.Usage);
            }

            using var program = BpfObject.Read(BpfObjectKind.Program, Find(result.GetValue(which)!), LoadedProgram.OpenById);
            var run = program.TestRun(bytes, new TestRunOptions { Repeat = result.GetValue(repeat) });
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
            {
                output.WriteLine(new JsonObject
                {
                    ["returned"] = run.ReturnValue, ["nanoseconds"] = run.DurationNanoseconds, ["packet"] = Convert.ToHexStringLower(run.Output),
                }.ToJsonString());
                return ExitCode.Ok;
            }

            output.WriteLine($"returned {run.ReturnValue}, {run.DurationNanoseconds} ns per run");
            output.WriteLine(Convert.ToHexStringLower(run.Output));
            return ExitCode.Ok;
        });
    }

    private static byte[] Packet(string? hexadecimal, int length)
    {
        if (hexadecimal is null)
        {
            return length is >= LeastPacket and <= 65536 ? new byte[length] : throw new VerbException($"--length: {LeastPacket} to 65536 bytes.", ExitCode.Usage);
        }

        try
        {
            var bytes = Convert.FromHexString(hexadecimal.Replace(" ", "", StringComparison.Ordinal).Replace(":", "", StringComparison.Ordinal));
            return bytes.Length >= LeastPacket ? bytes : throw new VerbException($"--packet: an Ethernet header has {LeastPacket} bytes, these are {bytes.Length}.", ExitCode.Usage);
        }
        catch (FormatException)
        {
            throw new VerbException("--packet: two hexadecimal digits for each byte.", ExitCode.Usage);
        }
    }

    /// <summary>Stretches of machine code that were made from one source line.</summary>
    private static IEnumerable<(int Offset, int Length, DumpedLine? Line)> Pieces(DumpedFunction function, int length, IReadOnlyList<DumpedLine> lines)
    {
        var within = lines.Where(l => l.Address >= function.Address && l.Address < function.Address + (uint)length && l.Address != 0).ToArray();
        var (at, current) = (0, (DumpedLine?)null);
        foreach (var line in within)
        {
            var offset = (int)(line.Address - function.Address);
            if (offset > at)
            {
                yield return (at, offset - at, current);
                at = offset;
            }

            current = line;
        }

        if (at < length)
        {
            yield return (at, length - at, current);
        }
    }

    private static uint Find(string word) => BpfObject.Find(BpfObjectKind.Program, word);

    private static ProgramDetails Open(string word) => BpfObject.Read(BpfObjectKind.Program, Find(word), id => ProgramDetails.Read(id));

    private static void Require(bool there, string what)
    {
        if (!there)
        {
            throw new VerbException($"The kernel hides the {what}: it takes root, and sysctl kernel.kptr_restrict and net.core.bpf_jit_harden may hide machine code.");
        }
    }

    private static void WriteRows(ParseResult result, Option<bool> json, JsonArray rows)
    {
        if (result.GetValue(json))
        {
            result.InvocationConfiguration.Output.WriteLine(rows.ToJsonString());
        }
    }

    private static string Place(DumpedLine line) => string.Create(CultureInfo.InvariantCulture, $"{Safe.Text(line.Text.Trim())} @ {Safe.Text(Path.GetFileName(line.File))}:{line.Line}");

    private static JsonObject Describe(DumpedLine line) => new() { ["file"] = line.File, ["line"] = line.Line, ["column"] = line.Column, ["text"] = line.Text };

    private static JsonObject Describe(ProgramDetails p, ObjectOwners owners, ObjectPins pins)
    {
        var json = new JsonObject
        {
            ["id"] = p.Id,
            ["type"] = p.Type.ToString(),
            ["name"] = p.Name,
            ["tag"] = p.Tag,
            ["gplCompatible"] = p.IsGplCompatible,
            ["userId"] = p.UserId,
            ["loadedSecondsAfterBoot"] = Math.Round(p.LoadTime.TotalSeconds, 3),
            ["translatedBytes"] = p.TranslatedBytes,
            ["jitedBytes"] = p.JitedBytes,
            ["memory"] = p.Memory,
            ["verifiedInstructions"] = p.VerifiedInstructions,
            ["mapIds"] = new JsonArray([.. p.MapIds.Select(id => (JsonNode)id)]),
            ["btfId"] = p.BtfId == 0 ? null : p.BtfId,
            ["runs"] = p.Runs,
            ["runNanoseconds"] = p.RunNanoseconds,
        };
        BpfObject.AddHolders(json, BpfObjectKind.Program, p.Id, owners, pins);
        return json;
    }

    private static string Number(uint value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Fixed(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private static string Cell(string text) => Markup.Escape(Safe.Text(text));
}
