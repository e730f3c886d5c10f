using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin.Captures;
using Skep.Bpf.Twin.Replay;
using Skep.Engine;

namespace Skep.Agent;

/// <summary>Plays a capture into a twin at the speed at which it was recorded, pauses shortened.</summary>
internal sealed class TwinPlayer(TwinDatapath datapath, string? path)
{
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(1);

    /// <summary>The capture that comes with the program.</summary>
    public static string SamplePath => Path.Combine(AppContext.BaseDirectory, "sample.pcap");

    /// <summary>Says before anything starts that a file is no capture.</summary>
    /// <exception cref="AgentException">It cannot be read.</exception>
    public void Check()
    {
        try
        {
            CaptureReader.Open(path ?? SamplePath).Dispose();
        }
        catch (CaptureFormatException e)
        {
            throw new AgentException($"{path}: {e.Message}");
        }
    }

    /// <summary>Plays it once; the flows stay to be looked at. A thread of its own: packets have to wait for each other.</summary>
    public Task RunAsync(CancellationToken cancellation) => Task.Factory.StartNew(
        () =>
        {
            using var capture = CaptureReader.Open(path ?? SamplePath);
            using var receiver = new Receiver(datapath, cancellation);
            if (new CaptureReplay(receiver).Run(capture, cancellationToken: cancellation).Damage is { } damage)
            {
                datapath.Notify($"the capture is damaged: {damage.Message}; everything before that was played");
            }
        },
        cancellation, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    private sealed class Receiver(TwinDatapath datapath, CancellationToken cancellation) : IReplayEngine
    {
        private readonly ulong _start = datapath.Twin.Environment.KtimeNow;
        private readonly CaptureSides _sides = new();
        private ulong _skipped;
        private ulong _last;

        public string Name => "twin";

        public BpfProgram Program { get; } = new Nothing();

        public IReadOnlyList<BpfMap> Maps => datapath.Maps;

        public bool TryRun(ReadOnlySpan<byte> packet, ulong elapsed, out int verdict, out ReadOnlySpan<byte> output)
        {
            var pause = TimeSpan.FromMicroseconds((elapsed - _last) / 1000d);
            if (pause > s_longestPause)
            {
                _skipped += (ulong)((pause - s_longestPause).TotalMicroseconds * 1000);
                pause = s_longestPause;
            }

            _last = elapsed;
            if (pause.TotalMilliseconds >= 1 && cancellation.WaitHandle.WaitOne(pause))
            {
                cancellation.ThrowIfCancellationRequested();
            }

            datapath.Twin.Environment.AdvanceTo(_start + elapsed - _skipped);
            verdict = (int)datapath.Pass(OpenedDatapath.CaptureInterface, 1, packet, _sides.IsOutgoing(packet));
            output = packet;
            return true;
        }

        public void Dispose()
        {
        }
    }

    private sealed class Nothing : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context) => XdpAction.Pass;
    }
}
