namespace Skep.Fuzz.Programs;

/// <summary>What a random program did in one engine: a verdict and a packet for each packet, and what is in its maps at the end, null where the engine has no such map.</summary>
internal sealed record TrialResult(IReadOnlyList<(int Verdict, byte[] Packet)> Runs, byte[]? Memory, RandomShared? Shared, IReadOnlyList<(long, int, short, byte, long)>? Rows)
{
    public static TrialResult Of(RandomProgram program, byte[][] packets, Func<byte[], (int Verdict, byte[] Packet)> run)
    {
        var runs = Array.ConvertAll(packets, p => run(p));
        return new TrialResult(
            runs,
            program.Memory.IsBound ? ((ReadOnlySpan<byte>)program.Memory.Value).ToArray() : null,
            program.Shared.IsBound ? program.Shared.Value : null,
            program.Table.IsBound ? program.Rows() : null);
    }

    /// <summary>The first thing that is not the same; null when all is.</summary>
    public string? DifferenceTo(TrialResult other)
    {
        for (var i = 0; i < Runs.Count; i++)
        {
            var (one, two) = (Runs[i], other.Runs[i]);
            if (one.Verdict != two.Verdict || !one.Packet.AsSpan().SequenceEqual(two.Packet))
            {
                return $"packet {i}: {one.Verdict} {Convert.ToHexString(one.Packet)}\nand {two.Verdict} {Convert.ToHexString(two.Packet)}";
            }
        }

        return other.Memory is not null && !other.Memory.AsSpan().SequenceEqual(Memory) ? "the memory differs"
            : other.Shared is not null && !other.Shared.Equals(Shared) ? "the shared numbers differ"
            : other.Rows is not null && !other.Rows.SequenceEqual(Rows!) ? "the table differs"
            : null;
    }
}
