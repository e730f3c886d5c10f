using Skep.Bpf.Twin.Captures;

namespace Skep.Bpf.Twin.Replay;

/// <summary>
/// Runs a program over a capture. Packets of link types without an Ethernet header (raw IP, Linux cooked, loopback) get one put before
/// them in place of their own, since programs on an interface expect it.
/// </summary>
public sealed class CaptureReplay(IReplayEngine engine)
{
    private readonly byte[] _reframed = new byte[CaptureInput.MaxPacket + EthernetFraming.HeaderSize];
    private readonly Dictionary<int, long> _verdicts = [];
    private readonly Dictionary<int, string> _names = [];
    private long _packets, _bytes, _truncated, _unframed, _refused, _number;
    private ulong _first, _last;

    /// <summary>Replays what is left of <paramref name="capture"/>. A damaged capture is replayed as far as it is good, and the result says so.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public ReplayResult Run(CaptureReader capture, ReplayOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(capture);
        options ??= new ReplayOptions();
        CaptureFormatException? damage = null;
        try
        {
            while (_number < options.MaxPackets && capture.TryRead(out var packet))
            {
                _number++;
                Replay(in packet, options);
                if ((_number & 1023) == 0)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                }
            }
        }
        catch (CaptureFormatException problem)
        {
            damage = problem;
        }

        return new ReplayResult
        {
            Engine = engine.Name,
            Packets = _packets,
            Bytes = _bytes,
            Verdicts = _verdicts.ToDictionary(v => NameOf(v.Key), v => v.Value),
            Truncated = _truncated,
            Unframed = _unframed,
            Refused = _refused,
            FirstTimestamp = _first,
            LastTimestamp = _last,
            Damage = damage,
        };
    }

    private void Replay(scoped in CapturedPacket packet, ReplayOptions options)
    {
        if (!TryFrame(in packet, out var frame))
        {
            _unframed++;
            return;
        }

        Follow(packet.Timestamp);
        if (!engine.TryRun(frame, _last - _first, out var verdict, out var output))
        {
            _refused++;
            return;
        }

        _packets++;
        _bytes += frame.Length;
        _truncated += packet.IsTruncated ? 1 : 0;
        System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_verdicts, verdict, out _)++;
        if (options.Output is not null && Verdicts.Forwards(engine.Program, verdict))
        {
            // What the snap length cut off stays missing from what comes out.
            var missing = packet.IsTruncated ? packet.OriginalLength - (uint)packet.Data.Length : 0;
            options.Output.Write(packet.Timestamp, output, (uint)output.Length + missing);
        }

        options.Observer?.Invoke(new ReplayedPacket
        {
            Number = _number,
            Timestamp = packet.Timestamp,
            Verdict = verdict,
            VerdictName = NameOf(verdict),
            Input = frame,
            Output = output,
            IsTruncated = packet.IsTruncated,
        });
    }

    /// <summary>Moves the clock to <paramref name="timestamp"/>; captures of several interfaces are not in strict order, the clock never goes back.</summary>
    private void Follow(ulong timestamp)
    {
        if (_first == 0)
        {
            _first = _last = timestamp;
        }

        _last = Math.Max(_last, timestamp);
    }

    private bool TryFrame(scoped in CapturedPacket packet, out ReadOnlySpan<byte> frame)
    {
        if (packet.LinkType == CaptureLinkType.Ethernet)
        {
            frame = packet.Data;
            return frame.Length >= EthernetFraming.HeaderSize;
        }

        if (!EthernetFraming.TryReplace(packet.LinkType, packet.Data, _reframed, out var replaced))
        {
            frame = default;
            return false;
        }

        var rest = packet.Data[replaced..];
        rest.CopyTo(_reframed.AsSpan(EthernetFraming.HeaderSize));
        frame = _reframed.AsSpan(0, EthernetFraming.HeaderSize + rest.Length);
        return true;
    }

    private string NameOf(int verdict)
    {
        if (!_names.TryGetValue(verdict, out var name))
        {
            _names[verdict] = name = Verdicts.NameOf(engine.Program, verdict);
        }

        return name;
    }
}
