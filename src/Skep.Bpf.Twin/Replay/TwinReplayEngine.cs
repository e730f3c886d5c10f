using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Twin.Replay;

/// <summary>Replays in the process; the program's clock is that of the capture.</summary>
public sealed class TwinReplayEngine : IReplayEngine
{
    private readonly TwinEngine _twin;
    private readonly bool _owned;
    private readonly ulong _start;
    private readonly XdpProgram? _xdp;
    private readonly TcProgram? _tc;

    /// <summary>Replays <paramref name="program"/> under a twin of its own, disposed of with the engine.</summary>
    /// <exception cref="ArgumentException">The program is for another hook than XDP or TC.</exception>
    public TwinReplayEngine(BpfProgram program, TwinOptions? options = null)
        : this(program, new TwinEngine(options)) => _owned = true;

    /// <summary>Replays <paramref name="program"/> under <paramref name="twin"/>, for programs whose maps were filled before.</summary>
    /// <exception cref="ArgumentException">The program is for another hook than XDP or TC.</exception>
    public TwinReplayEngine(BpfProgram program, TwinEngine twin)
    {
        ArgumentNullException.ThrowIfNull(twin);
        _xdp = program as XdpProgram;
        _tc = program as TcProgram;
        if (_xdp is null && _tc is null)
        {
            throw new ArgumentException($"Captures are replayed through XDP and TC programs; {program.Name} is neither.", nameof(program));
        }

        _twin = twin;
        _start = twin.Environment.KtimeNow;
        Program = program;
        twin.Bind(program);
        Maps = ProgramGraph.Maps(program);
    }

    /// <inheritdoc/>
    public string Name => "twin";

    /// <inheritdoc/>
    public BpfProgram Program { get; }

    /// <inheritdoc/>
    public IReadOnlyList<BpfMap> Maps { get; }

    /// <inheritdoc/>
    public bool TryRun(ReadOnlySpan<byte> packet, ulong elapsed, out int verdict, out ReadOnlySpan<byte> output)
    {
        _twin.Environment.AdvanceTo(_start + elapsed);
        if (_xdp is not null)
        {
            var result = _twin.Run(_xdp, packet);
            verdict = (int)result.Action;
            output = result.Packet;
        }
        else
        {
            var result = _twin.Run(_tc!, packet);
            verdict = (int)result.Action;
            output = result.Packet;
        }

        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_owned)
        {
            _twin.Dispose();
        }
    }
}
