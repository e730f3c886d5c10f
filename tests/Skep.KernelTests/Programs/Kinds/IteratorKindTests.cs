using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Engine;
using Skep.KernelTests.Surroundings;
using Skep.Samples.Programs;

namespace Skep.KernelTests.Programs.Kinds;

public class IteratorKindTests
{
    [KernelFact]
    public void Tasks_are_listed_and_every_read_is_a_new_sweep()
    {
        using var link = new ListTasks().Attach();
        for (var sweep = 0; sweep < 2; sweep++)
        {
            var tasks = link.Read<ListTasks.Entry>();
            Assert.Contains(tasks, task => task.Process == Environment.ProcessId && task.Thread == Environment.ProcessId);
            Assert.True(tasks.Count(task => task.Process == Environment.ProcessId) > 1, "this process has more than one thread");
        }

        Assert.Throws<InvalidDataException>(() => link.Read<OddRecord>());
    }

    [KernelFact]
    public void A_pinned_iterator_is_a_file_and_leads_back_to_its_link()
    {
        using var pins = new TestPins();
        var pin = pins.Path("tasks");
        using (var link = new ListTasks().Attach())
        {
            link.Pin(pin);
        }

        var bytes = File.ReadAllBytes(pin);
        Assert.True(bytes.Length >= 8 && bytes.Length % 8 == 0, $"{bytes.Length} bytes");
        using var opened = Assert.IsType<IteratorLink>(Link.OpenPinned(pin));
        Assert.NotEmpty(opened.Read<ListTasks.Entry>());
    }

    [KernelFact]
    public void The_elements_of_a_map_are_listed_with_types()
    {
        using var map = new HashMap<uint, ulong>(8, "listed");
        using var storage = ProgramLoader.Load(ProgramCompiler.Compile(new UsesMap(map)));
        map.Set(3, 30);
        map.Set(4, 40);
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(new ListElements(), KernelTarget.Running));
        using var link = IteratorLink.Attach(program, map);

        Assert.Equal([(3, 30), (4, 40)], link.Read<ListElements.Entry>().Select(e => ((int)e.Key, (int)e.Value)).Order());
    }

    [KernelFact]
    public void The_sockets_of_TCP_are_listed_as_lines()
    {
        using var inside = new TestNamespace();
        inside.Run(() =>
        {
            using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
            listener.Start();
            using var program = ProgramLoader.Load(ProgramCompiler.Compile(new ListSockets(), KernelTarget.Running));
            using var link = IteratorLink.Attach(program);
            Assert.Equal(["tcp"], link.ReadLines());
        });
    }

    [System.Runtime.CompilerServices.InlineArray(13)]
    private struct OddRecord
    {
        private byte _first;
    }

    private sealed class UsesMap(HashMap<uint, ulong> map) : XdpProgram
    {
        private readonly HashMap<uint, ulong> _map = map;

        public override XdpAction Run(ref XdpContext context) => _map.Delete(1) == 0 ? XdpAction.Drop : XdpAction.Pass;
    }

    // Words: meta, map, key, value.
    private sealed unsafe class ListElements : IteratorProgram
    {
        public override string Target => "bpf_map_elem";

        public override IteratorVerdict Run(ref IteratorContext context)
        {
            var key = context.Pointer<uint>(2);
            var value = context.Pointer<ulong>(3);
            if (key != null && value != null)
            {
                var entry = new Entry { Key = *key, Value = *value };
                context.Write(in entry);
            }

            return IteratorVerdict.Next;
        }

        public struct Entry
        {
            public ulong Key, Value;
        }
    }

    private sealed unsafe class ListSockets : IteratorProgram
    {
        public override string Target => "tcp";

        public override IteratorVerdict Run(ref IteratorContext context)
        {
            if (context.Pointer<byte>(1) != null)
            {
                var line = 0x0a706374u;
                context.Write(in line);
            }

            return IteratorVerdict.Next;
        }
    }
}
