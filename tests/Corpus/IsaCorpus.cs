using System.Buffers.Binary;
using System.Globalization;
using Skep.Bpf.Asm.Notation;
using Skep.Bpf.Twin.Conformance;

namespace Skep.Corpus;

/// <summary>
/// The tables of tests/Corpus/Isa: what every instruction does to the registers, edge values included. Each row becomes a conformance vector
/// whose memory holds r0, r1, r2 and m (32 bytes, little-endian) and whose result is the register that the row names.
/// </summary>
internal static class IsaCorpus
{
    private const string Load = """
        r6 = r1
        r3 = *(u64 *)(r6 + 24)
        *(u64 *)(r10 - 8) = r3
        r0 = *(u64 *)(r6 + 0)
        r2 = *(u64 *)(r6 + 16)
        r1 = *(u64 *)(r6 + 8)

        """;

    public static IEnumerable<string> Files => typeof(IsaCorpus).Assembly.GetManifestResourceNames()
        .Where(name => name.StartsWith("Isa/", StringComparison.Ordinal)).Select(name => name[4..]).Order(StringComparer.Ordinal);

    /// <summary>The rows of a table. Rows of the same code with the same result register share their <see cref="ConformanceVector.Code"/>.</summary>
    public static IReadOnlyList<ConformanceVector> Read(string file)
    {
        using var reader = new StreamReader(typeof(IsaCorpus).Assembly.GetManifestResourceStream("Isa/" + file)!);
        List<ConformanceVector> vectors = [];
        List<string> code = [];
        Dictionary<string, AsmCode> built = [];
        var isRow = false;
        var number = 0;
        while (reader.ReadLine() is { } line)
        {
            number++;
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            if (line[0] != ' ')
            {
                if (isRow)
                {
                    (code, built) = ([], []);
                }

                code.Add(line);
                isRow = false;
                continue;
            }

            isRow = true;
            var sides = line.Split("->", StringSplitOptions.TrimEntries);
            var (register, result) = Value(sides[1]);
            if (!built.TryGetValue(register, out var program))
            {
                built[register] = program = AsmReader.Read(Load + string.Join('\n', code) + End(code[^1], register), file);
            }

            var memory = new byte[32];
            foreach (var (name, value) in sides[0].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Value))
            {
                BinaryPrimitives.WriteUInt64LittleEndian(memory.AsSpan(8 * Array.IndexOf((string[])["r0", "r1", "r2", "m"], name)), value);
            }

            vectors.Add(new ConformanceVector($"{file}({number.ToString(CultureInfo.InvariantCulture)}): {string.Join("; ", code)} |{line}", program, memory, result));
        }

        return vectors;
    }

    private static string End(string last, string register) => (last, register) switch
    {
        ("exit", _) => "",
        (_, "r0") => "\nexit",
        (_, "m") => "\nr0 = *(u64 *)(r10 - 8)\nexit",
        _ => $"\nr0 = {register}\nexit",
    };

    private static (string Name, ulong Value) Value(string text)
    {
        var parts = text.Split('=');
        return (parts[0], parts[1].StartsWith("0x", StringComparison.Ordinal)
            ? ulong.Parse(parts[1].AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture)
            : ulong.Parse(parts[1], CultureInfo.InvariantCulture));
    }
}
