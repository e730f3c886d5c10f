using System.CommandLine;
using System.Text.Json.Nodes;
using Skep.Bpf.Asm;
using Skep.Bpf.Programs;
using Skep.Cli.Output;

namespace Skep.Cli.Verbs.Bpf;

/// <summary><c>skep bpf disasm</c>: the instructions of a file in the kernel's notation.</summary>
internal static class BpfDisasmVerb
{
    public static Command Build()
    {
        var path = new Argument<string>("file") { Description = "Object file, instructions as they lie in memory, or assembler text; '-' is the standard input." };
        var json = CommonOptions.Json();
        return new VerbCommand(
            "disasm", "Print the instructions of an object or of raw code in the kernel's notation, which 'skep bpf asm' reads; nothing is loaded.",
            "skep bpf disasm probe.o", "skep bpf disasm - --json < code.bin")
        {
            path, json,
        }.Runs(result => Run(result, CodeInput.Programs([result.GetValue(path)!], ProgramType.Unspec), result.GetValue(json)));
    }

    private static int Run(ParseResult result, IReadOnlyList<CodeProgram> programs, bool json)
    {
        var output = result.InvocationConfiguration.Output;
        if (json)
        {
            output.WriteLine(new JsonArray([.. programs.Select(p => (JsonNode)Describe(p))]).ToJsonString());
        }
        else
        {
            foreach (var program in programs)
            {
                if (program.Section is { } section)
                {
                    output.WriteLine($"; {Safe.Text(program.Name)} in section {Safe.Text(section)}{(program.Problem is { } problem ? $": {Safe.Text(problem)}" : "")}");
                }

                output.Write(program.Spec is { } spec ? Safe.Lines(Disassembler.Disassemble(spec)) : "");
            }
        }

        return programs.All(p => p.Spec is not null) ? ExitCode.Ok : ExitCode.Failed;
    }

    private static JsonObject Describe(CodeProgram program) => new()
    {
        ["name"] = program.Name,
        ["section"] = program.Section,
        ["problem"] = program.Problem,
        ["instructions"] = program.Spec is { } spec ? Listing(spec) : null,
    };

    /// <summary>An object for each instruction; the second half of a wide load belongs to the first.</summary>
    internal static JsonArray Listing(ProgramSpec spec)
    {
        var maps = spec.MapReferences.ToDictionary(r => r.Slot, r => r.Map.Name);
        var lines = spec.Lines.GroupBy(l => l.Slot).ToDictionary(g => g.Key, g => g.First());
        var result = new JsonArray();
        for (var slot = 0; slot < spec.Instructions.Count; slot++)
        {
            var instruction = spec.Instructions[slot];
            Instruction? next = instruction.IsWideLoad && slot + 1 < spec.Instructions.Count ? spec.Instructions[slot + 1] : null;
            result.Add(new JsonObject
            {
                ["slot"] = slot,
                ["bytes"] = Convert.ToHexStringLower(Skep.Bpf.Elf.AsmObject.Bytes(next is { } half ? [instruction, half] : [instruction])),
                ["text"] = Disassembler.Format(instruction, next ?? default),
                ["map"] = maps.GetValueOrDefault(slot),
                ["position"] = lines.TryGetValue(slot, out var line) ? CheckReport.Position(line) : null,
            });
            slot += next is null ? 0 : 1;
        }

        return result;
    }
}
