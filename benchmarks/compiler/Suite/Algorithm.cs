using Skep.Bpf.Programming;

namespace Skep.Benchmarks.Compiler.Suite;

/// <summary>One algorithm of the suite in C#; the same in C stands beside it in a file of the same name.</summary>
internal abstract class Algorithm : XdpProgram
{
    /// <summary>What it runs on, in this order: each packet finds the state that those before it left.</summary>
    internal abstract IReadOnlyList<Sample> Samples { get; }

    /// <summary>Whether it writes into packets, which a test run with repetitions does not restore.</summary>
    internal virtual bool RewritesPacket => false;

    /// <summary>Maps that hold times, which differ between two runs in the kernel.</summary>
    internal virtual IReadOnlySet<string> TimedMaps { get; } = new HashSet<string>();

    /// <summary>Puts into the maps what the algorithm expects to find there; they have storage.</summary>
    internal virtual void Fill()
    {
    }

    /// <summary>The checksum of a sum of 16-bit words (RFC 1071).</summary>
    protected static ushort Fold(uint sum)
    {
        sum = (sum & 0xFFFF) + (sum >> 16);
        sum = (sum & 0xFFFF) + (sum >> 16);
        return (ushort)~sum;
    }
}

/// <summary>A packet of the suite.</summary>
/// <param name="Name">Which path it takes.</param>
/// <param name="Packet">Its bytes.</param>
/// <param name="IsTimed">Whether it takes the same path however often it comes, so that repetitions measure that path.</param>
/// <param name="AdvanceNanoseconds">By how much the virtual clock moves before it.</param>
internal sealed record Sample(string Name, byte[] Packet, bool IsTimed = true, ulong AdvanceNanoseconds = 0);
