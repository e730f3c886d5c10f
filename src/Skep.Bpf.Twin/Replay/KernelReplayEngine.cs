using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Twin.Replay;

/// <summary>
/// Replays in the kernel, by <c>BPF_PROG_TEST_RUN</c> (kernel 4.12): the program as it would run on an interface, attached to none.
/// Its clock is the kernel's, so what depends on time (expiry, rates) sees the packets at the speed of the replay.
/// </summary>
public sealed class KernelReplayEngine : IReplayEngine
{
    // bpf_test_init: a packet and its head and tail room fit into one page.
    private const int LargestPacket = 4096 - 256 - 320;

    private readonly LoadedProgram _loaded;
    private readonly byte[] _output = new byte[8192];
    private readonly bool _needsIpHeader;

    /// <summary>Replays a loaded program, which is disposed of with the engine; its maps are not.</summary>
    /// <param name="program">The program that was compiled.</param>
    /// <param name="loaded">What came of loading it.</param>
    /// <exception cref="ArgumentException">The program is for another hook than XDP or TC.</exception>
    public KernelReplayEngine(BpfProgram program, LoadedProgram loaded)
    {
        ArgumentNullException.ThrowIfNull(program);
        ArgumentNullException.ThrowIfNull(loaded);
        if (program is not XdpProgram and not TcProgram)
        {
            throw new ArgumentException($"Captures are replayed through XDP and TC programs; {program.Name} is neither.", nameof(program));
        }

        _loaded = loaded;
        _needsIpHeader = program is TcProgram;
        Program = program;
    }

    /// <inheritdoc/>
    public string Name => "kernel";

    /// <inheritdoc/>
    public BpfProgram Program { get; }

    /// <inheritdoc/>
    public IReadOnlyList<BpfMap> Maps => _loaded.Maps;

    /// <inheritdoc/>
    /// <exception cref="BpfException">The kernel refused the run, not for the packet's size.</exception>
    public bool TryRun(ReadOnlySpan<byte> packet, ulong elapsed, out int verdict, out ReadOnlySpan<byte> output)
    {
        if (packet.Length > LargestPacket || (_needsIpHeader && IsShorterThanItsIpHeader(packet)))
        {
            verdict = 0;
            output = default;
            return false;
        }

        var outcome = _loaded.TestRun(packet, _output);
        verdict = outcome.ReturnValue;
        output = _output.AsSpan(0, outcome.OutputLength);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _loaded.Dispose();

    /// <summary>bpf_prog_test_run_skb of recent kernels refuses IP packets without a whole IP header, which no network stack would hand to a hook.</summary>
    private static bool IsShorterThanItsIpHeader(ReadOnlySpan<byte> packet) =>
        (packet[12] == 0x08 && packet[13] == 0x00 && packet.Length < 14 + 20)
        || (packet[12] == 0x86 && packet[13] == 0xDD && packet.Length < 14 + 40);
}
