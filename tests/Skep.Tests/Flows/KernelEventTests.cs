using System.Runtime.InteropServices;
using Skep.Bpf.Programming;
using Skep.Bpf.Twin;
using Skep.Flows;
using Skep.Packets;

namespace Skep.Tests.Flows;

public sealed unsafe class KernelEventTests
{
    [Fact]
    public void Structs_in_maps_have_the_documented_sizes()
    {
        Assert.Equal(48, sizeof(FlowKey));
        Assert.Equal(56, sizeof(FlowDirection));
        Assert.Equal(184, sizeof(FlowEntry));
        Assert.Equal(64, (int)Marshal.OffsetOf<FlowEntry>(nameof(FlowEntry.Received)));
        Assert.Equal(176, (int)Marshal.OffsetOf<FlowEntry>(nameof(FlowEntry.OpenedLocally)));
        Assert.Equal(48, sizeof(KernelEventKey));
        Assert.Equal(24, sizeof(KernelEventEntry));
        Assert.Equal(72, sizeof(KernelEvent));
    }

    [Fact]
    public void Events_are_added_up_and_told()
    {
        using var twin = new TwinEngine();
        var maps = new KernelEventMaps("test", 16, 4096);
        var program = new RecordingProgram(maps);
        twin.Bind(program);
        twin.Environment.SetTask(42, 43, "nginx"u8);
        twin.Run(program, [80, 7]);
        twin.Environment.Advance(TimeSpan.FromSeconds(1));
        twin.Run(program, [80, 8]);
        twin.Run(program, [81, 9]);

        var key = new KernelEventKey { RawPorts = 80 };
        Assert.True(maps.Totals.TryGet(in key, out var total));
        Assert.Equal((2ul, 2_000_000_000ul, 8ul), (total.Count, total.LastSeen, total.Detail));
        Assert.Equal([(80u, 7ul), (80u, 8ul), (81u, 9ul)], maps.Events.Drain().Select(e => (e.Key.RawPorts, e.Detail)));
        Assert.Equal((3ul, 0ul), maps.ReadCounts());
    }

    [Fact]
    public void Events_that_find_no_room_are_counted()
    {
        using var twin = new TwinEngine();
        var maps = new KernelEventMaps("test", 16, 4096);
        var program = new RecordingProgram(maps);
        for (ulong i = 0; i < 100; i++)
        {
            twin.Run(program, [i, 0]);
        }

        Assert.Equal((100ul, 100ul - (ulong)maps.Events.Drain().Count), maps.ReadCounts());
    }

    private sealed class RecordingProgram(KernelEventMaps maps) : RawTracepointProgram
    {
        private readonly EventRecorder _recorder = new(maps);

        public override string Tracepoint => "none";

        public override void Run(ref RawTracepointContext context)
        {
            var key = default(KernelEventKey);
            key.RawPorts = (uint)context.Value(0);
            _recorder.Record(in key, context.Value(1));
        }
    }
}
