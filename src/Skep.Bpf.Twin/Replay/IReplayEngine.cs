using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Replay;

/// <summary>Something that runs one program on packets: the twin, or the kernel.</summary>
public interface IReplayEngine : IDisposable
{
    /// <summary>Name of the engine, as users type it: <c>twin</c> or <c>kernel</c>.</summary>
    string Name { get; }

    /// <summary>The program, an <see cref="XdpProgram"/> or a <see cref="TcProgram"/>.</summary>
    BpfProgram Program { get; }

    /// <summary>The program's maps, with storage.</summary>
    IReadOnlyList<BpfMap> Maps { get; }

    /// <summary>Runs the program on one packet.</summary>
    /// <param name="packet">The packet from the Ethernet header on, 14 bytes at least.</param>
    /// <param name="elapsed">Nanoseconds since the first packet of the replay; only engines with a clock of their own follow it.</param>
    /// <param name="verdict">What the program returned.</param>
    /// <param name="output">The packet as the program left it, valid until the next run.</param>
    /// <returns>False when the engine cannot take such a packet: the kernel refuses frames larger than a page, and on TC hooks those cut within the IP header.</returns>
    bool TryRun(ReadOnlySpan<byte> packet, ulong elapsed, out int verdict, out ReadOnlySpan<byte> output);
}
