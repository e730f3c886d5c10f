using System.Runtime.CompilerServices;
using Skep.Bpf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.KernelTests.Compiler;

namespace Skep.KernelTests.Maps;

public class MapOfMapsTests
{
    [ProvesMap(MapKind.ArrayOfMaps, MapKind.HashOfMaps)]
    [KernelFact]
    public void A_program_misses_the_inner_map_it_finds_on_all_engines()
    {
        Differential.Check(() => new Nested(), RandomPackets.Make(20, 64), static p => $"{p.Missing.Value}");
    }

    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_process_exchanges_an_inner_map_while_the_program_stays(bool kernel)
    {
        using var twin = new TwinEngine();
        var program = new Nested();
        using var run = kernel ? new KernelRun(program) : (Runner)new TwinRun(program, twin);
        using var first = new HashMap<uint, ulong>(16, "first");
        using var second = new HashMap<uint, ulong>(64, "second");
        var packet = new byte[60];

        Assert.Equal(XdpAction.Drop, run.Packet(packet));
        program.ByPort.Set(0, first);
        first.Set(0, 100);
        Assert.Equal(XdpAction.Pass, run.Packet(packet));
        program.ByPort.Set(0, second);
        Assert.Equal(XdpAction.Drop, run.Packet(packet));
        second.Set(0, 7);
        Assert.Equal(XdpAction.Pass, run.Packet(packet));

        Assert.True(first.TryGet(0, out var ofFirst) && second.TryGet(0, out var ofSecond) && (ofFirst, ofSecond) == (101, 8));
        Assert.True(program.ByPort.Remove(0));
        Assert.False(program.ByPort.Remove(0));
        Assert.Equal(XdpAction.Drop, run.Packet(packet));
        Assert.Equal(3ul, program.Missing.Value);
    }

    [KernelTheory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_inner_map_that_is_not_like_the_template_is_refused(bool kernel)
    {
        using var twin = new TwinEngine();
        using var outer = new HashOfMaps<ulong, ArrayMap<uint>>(4, new ArrayMap<uint>(8), "outer");
        using var varied = new ArrayOfMaps<ArrayMap<uint>>(4, new ArrayMap<uint>(8, null, MapFlags.InnerMap), "varied");
        using var longer = new ArrayMap<uint>(9, "longer");
        using var same = new ArrayMap<uint>(8, "same");
        using var another = new ArrayMap<uint>(100, "another", MapFlags.InnerMap);
        foreach (var map in new BpfMap[] { outer, varied })
        {
            if (kernel)
            {
                map.Bind(KernelMapStorage.Create(map));
            }
            else
            {
                twin.Bind(map);
            }
        }

        Assert.Equal(Errno.Invalid, Assert.Throws<BpfException>(() => outer.Set(1, longer)).ErrorNumber);
        outer.Set(1, same);
        varied.Set(3, another);
        Assert.Equal(Errno.TooBig, Assert.Throws<BpfException>(() => varied.Set(4, another)).ErrorNumber);
        Assert.True(outer.TryGetId(1, out var id) && id != 0);
        Assert.False(outer.TryGetId(2, out _));
        if (kernel)
        {
            Assert.Equal(((KernelMapStorage)same.Storage).Id, id);
        }
    }

    private abstract class Runner : IDisposable
    {
        public abstract XdpAction Packet(byte[] packet);

        public virtual void Dispose()
        {
        }
    }

    private sealed class TwinRun(Nested program, TwinEngine twin) : Runner
    {
        private readonly TwinEngine _twin = Bound(program, twin);

        public override XdpAction Packet(byte[] packet) => _twin.Run(program, packet).Action;

        private static TwinEngine Bound(Nested program, TwinEngine twin)
        {
            twin.Bind(program);
            return twin;
        }
    }

    private sealed class KernelRun(Nested program) : Runner
    {
        private readonly LoadedProgram _loaded = ProgramLoader.Load(ProgramCompiler.Compile(program));

        public override XdpAction Packet(byte[] packet) => (XdpAction)_loaded.TestRun(packet).ReturnValue;

        public override void Dispose()
        {
            _loaded.Dispose();
            program.ByPort.Dispose();
            program.Missing.Dispose();
        }
    }

    private sealed class Nested : XdpProgram
    {
        public ArrayOfMaps<HashMap<uint, ulong>> ByPort { get; } = new(4, new HashMap<uint, ulong>(16));

        public Global<ulong> Missing { get; } = new();

        // Not reached by the program's fields: a map of maps holds them.
        internal HashMap<uint, ulong>[] Tables => _tables ??= [new(16), new(16)];

        private HashMap<uint, ulong>[]? _tables;

        public override unsafe XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 2 > context.DataEnd)
            {
                return XdpAction.Aborted;
            }

            if (ByPort.Find(data[0]) is not { } table)
            {
                Missing.Value++;
                return XdpAction.Drop;
            }

            ref var count = ref table.Find(data[1]);
            if (Unsafe.IsNullRef(ref count))
            {
                Missing.Value += 1;
                return XdpAction.Drop;
            }

            count++;
            return XdpAction.Pass;
        }
    }
}
