using System.CommandLine;
using System.Text.Json.Nodes;
using Skep.Bpf.Asm;
using Skep.Bpf.Asm.Notation;
using Skep.Bpf.Elf;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Conformance;
using Skep.Bpf.Twin.Interpretation;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs.Bpf;

/// <summary><c>skep bpf asm</c>: assembler text as a file of instructions or an object, or run where it stands.</summary>
internal static class BpfAsmVerb
{
    private const int LeastPacket = 14;

    private sealed record Outcome(string Engine, ulong? Result, long? Executed, byte[]? Packet, string? Refusal);

    public static Command Build()
    {
        var path = new Argument<string>("file") { Description = "Assembler text, in the kernel's notation or in mnemonics; '-' is the standard input." };
        var output = new Option<string?>("--output", "-o") { Description = "File to write: an object when its name ends with .o, else the instructions as they lie in memory.", HelpName = "file" };
        var type = ProgramTypes.Option("What kind of program it is.");
        var run = new Option<string?>("--run") { Description = "Run it in this engine: interpreter (in the process) or kernel (root).", HelpName = "engine" };
        run.AcceptOnlyFromAmong("interpreter", "kernel");
        var memory = new Option<string?>("--memory") { Description = "Run it as a function: R1 is the address of these bytes (hexadecimal), R2 their number. The default, without bytes.", HelpName = "hex" };
        var packet = new Option<string?>("--packet") { Description = "Run it as an XDP program on this packet (hexadecimal, from the Ethernet header on).", HelpName = "hex" };
        var json = CommonOptions.Json();
        return new VerbCommand(
            "asm", "Assemble; print the listing, write it to a file, or run it.",
            "skep bpf asm probe.s", "skep bpf asm probe.s -o probe.o --type xdp", "echo 'r0 = 42; exit' | tr ';' '\\n' | skep bpf asm - --run interpreter", "skep bpf asm add.s --run kernel --memory 0102")
        {
            path, output, type, run, memory, packet, json,
        }.Runs(result =>
        {
            var code = CodeInput.Assembly(result.GetValue(path)!);
            var name = Path.GetFileNameWithoutExtension(CodeInput.NameOf(result.GetValue(path)!));
            var section = result.GetValue(type)!;
            if (result.GetValue(memory) is not null && result.GetValue(packet) is not null)
            {
                throw new VerbException("--memory and --packet: a program runs on one of them.", ExitCode.Usage);
            }

            try
            {
                var spec = code.Build(name, ProgramTypes.Of(section));
                var written = result.GetValue(output) is { } file ? Write(file, code, section, name) : (int?)null;
                var outcome = result.GetValue(run) is { } engine ? Run(engine, code, name, Hex("--memory", result.GetValue(memory)) ?? [], Hex("--packet", result.GetValue(packet))) : null;
                return Report(result, spec, result.GetValue(output), written, outcome, result.GetValue(json));
            }
            catch (ArgumentException e)
            {
                throw new VerbException(Safe.Text(e.Message));
            }
        });
    }

    private static int Write(string file, AsmCode code, string section, string name)
    {
        var bytes = file.EndsWith(".o", StringComparison.Ordinal) ? AsmObject.Write(code, section, name) : AsmObject.Bytes([.. code.Instructions]);
        try
        {
            File.WriteAllBytes(file, bytes);
            return bytes.Length;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new VerbException($"{Safe.Text(file)} cannot be written: {Safe.Text(e.Message)}");
        }
    }

    private static Outcome Run(string engine, AsmCode code, string name, byte[] memory, byte[]? packet)
    {
        if (packet is null)
        {
            VectorEngine vectors = engine == "kernel" ? new KernelVectorEngine() : new InterpreterVectorEngine();
            using var kernel = vectors as IDisposable;
            var outcome = vectors.Run(new ConformanceVector(name, code, memory, null));
            return new Outcome(engine, outcome.Actual, null, null, outcome.Reason);
        }

        if (packet.Length < LeastPacket)
        {
            throw new VerbException($"--packet: an Ethernet header has {LeastPacket} bytes, these are {packet.Length}.", ExitCode.Usage);
        }

        var spec = code.Build(name, ProgramType.Xdp);
        if (engine == "kernel")
        {
            using var program = ProgramLoader.Load(spec);
            var run = program.TestRun(packet);
            return new Outcome(engine, (uint)run.ReturnValue, null, run.Output, null);
        }

        try
        {
            using var twin = new TwinEngine();
            var result = new BytecodeInterpreter(spec, twin).RunXdp(packet);
            return new Outcome(engine, result.ReturnValue, result.ExecutedInstructions, result.Packet.ToArray(), null);
        }
        catch (InterpreterFaultException e)
        {
            return new Outcome(engine, null, null, null, e.Message);
        }
    }

    private static int Report(ParseResult result, ProgramSpec spec, string? file, int? written, Outcome? outcome, bool json)
    {
        var output = result.InvocationConfiguration.Output;
        if (json)
        {
            output.WriteLine(new JsonObject
            {
                ["name"] = spec.Name,
                ["instructions"] = BpfDisasmVerb.Listing(spec),
                ["file"] = file,
                ["bytes"] = written,
                ["run"] = outcome is null ? null : new JsonObject
                {
                    ["engine"] = outcome.Engine,
                    ["result"] = outcome.Result is { } value ? $"0x{value:x}" : null,
                    ["executed"] = outcome.Executed,
                    ["packet"] = outcome.Packet is { } bytes ? Convert.ToHexStringLower(bytes) : null,
                    ["refusal"] = outcome.Refusal,
                },
            }.ToJsonString());
        }
        else
        {
            if (written is not null)
            {
                output.WriteLine($"{Safe.Text(file!)}: {written} bytes, {spec.Instructions.Count} instruction slots");
            }
            else if (outcome is null)
            {
                output.Write(Safe.Lines(Disassembler.Disassemble(new ProgramSpec { Name = spec.Name, Type = spec.Type, Instructions = spec.Instructions, Functions = spec.Functions })));
            }

            if (outcome is not null)
            {
                output.WriteLine(outcome.Result is { } r0
                    ? $"r0 = 0x{r0:x} ({(long)r0}){(outcome.Executed is { } n ? $", {n} instructions executed" : "")}"
                    : $"refused: {Safe.Lines(outcome.Refusal ?? "")}");
                output.Write(outcome.Packet is { } bytes ? Convert.ToHexStringLower(bytes) + "\n" : "");
            }
        }

        return outcome is { Result: null } ? ExitCode.Failed : ExitCode.Ok;
    }

    private static byte[]? Hex(string option, string? text)
    {
        try
        {
            return text is null ? null : Convert.FromHexString(text.Replace(" ", "", StringComparison.Ordinal).Replace(":", "", StringComparison.Ordinal));
        }
        catch (FormatException)
        {
            throw new VerbException($"{option}: two hexadecimal digits for each byte.", ExitCode.Usage);
        }
    }
}
