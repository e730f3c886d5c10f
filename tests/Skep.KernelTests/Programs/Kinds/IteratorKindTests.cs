using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Engine;
using Skep.KernelTests.Surroundings;
using Skep.Samples.Programs;

namespace Skep.KernelTests.Programs.Kinds;

public class IteratorKindTests
{
    [Proves("iterator")]
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
        map.Set(5, 50);
        using var link = new ListEntries(35).Attach(map);

        Assert.Equal([(4, 40), (5, 50)], link.Read<ListEntries.Entry>().Select(e => ((int)e.Key, (int)e.Value)).Order());

        // What two entries are not a whole number of.
        Assert.Throws<InvalidDataException>(() => link.Read<OddRecord>());
    }

    [KernelFact]
    public unsafe void The_elements_of_a_map_are_changed_in_one_sweep_and_the_twin_does_the_same()
    {
        using var map = new HashMap<uint, ulong>(8, "halved");
        using var storage = ProgramLoader.Load(ProgramCompiler.Compile(new UsesMap(map)));
        map.Set(1, 100);
        map.Set(2, 41);
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(new Halve(), KernelTarget.Running));
        using (var link = IteratorLink.Attach(program, map))
        {
            Assert.Empty(link.Read<uint>());
        }

        Assert.True(map.TryGet(1, out var first));
        Assert.True(map.TryGet(2, out var second));
        Assert.Equal((50ul, 20ul), (first, second));

        using var twin = new TwinEngine();
        var (key, value) = (7u, 9ul);
        var words = stackalloc ulong[4] { 0, 0, (ulong)&key, (ulong)&value };
        var context = new IteratorContext(words);
        Assert.Equal(IteratorVerdict.Next, twin.Run(new Halve(), ref context));
        Assert.Equal(4ul, value);
        words[2] = words[3] = 0;
        Assert.Equal(IteratorVerdict.Next, twin.Run(new Halve(), ref context));
    }

    [KernelTheory]
    [InlineData("task_file")]
    [InlineData("task_vma")]
    [InlineData("bpf_map")]
    [InlineData("bpf_prog")]
    [InlineData("bpf_link")]
    [InlineData("udp")]
    [InlineData("unix")]
    [InlineData("netlink")]
    [InlineData("ksym")]
    public void Objects_of_every_sort_are_seen(string target)
    {
        using var inside = new TestNamespace();
        inside.Run(() =>
        {
            using var socket = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.InterNetwork, System.Net.Sockets.SocketType.Dgram, System.Net.Sockets.ProtocolType.Udp);
            socket.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
            var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
            using var local = new System.Net.Sockets.Socket(System.Net.Sockets.AddressFamily.Unix, System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Unspecified);
            local.Bind(new System.Net.Sockets.UnixDomainSocketEndPoint(path));
            using var map = new ArrayMap<uint>(1);
            map.Bind(KernelMapStorage.Create(map));
            using var program = ProgramLoader.Load(ProgramCompiler.Compile(new CountObjects(target), KernelTarget.Running));
            using var link = target.StartsWith("task_", StringComparison.Ordinal) ? IteratorLink.AttachToProcess(program, Environment.ProcessId) : IteratorLink.Attach(program);
            Assert.NotEmpty(link.Read<uint>());
            File.Delete(path);
        });
    }

    [KernelFact]
    public void The_sockets_of_a_map_are_seen()
    {
        using var map = new SockHash<uint>(4, "connections");
        map.Bind(KernelMapStorage.Create(map));
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        using var client = new System.Net.Sockets.TcpClient();
        client.Connect((System.Net.IPEndPoint)listener.LocalEndpoint);
        map.Set(9, client.Client.SafeHandle);
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(new CountObjects("sockmap"), KernelTarget.Running));
        using var link = IteratorLink.Attach(program, map);
        Assert.Single(link.Read<uint>());
    }

    [KernelFact]
    public void Control_groups_are_seen_with_those_below()
    {
        using var group = new TestCgroup();
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(new CountObjects("cgroup"), KernelTarget.Running));
        using var alone = IteratorLink.AttachToCgroup(program, group.Directory, below: false);
        Assert.Single(alone.Read<uint>());
        Directory.CreateDirectory(Path.Combine(group.Directory, "below"));
        using var all = IteratorLink.AttachToCgroup(program, group.Directory, below: true);
        Assert.Equal(2, all.Read<uint>().Count);
        Directory.Delete(Path.Combine(group.Directory, "below"));
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

    private sealed class Halve : MapIteratorProgram<uint, ulong>
    {
        protected override IteratorVerdict Visit(ref IteratorContext context, in uint key, ref ulong value)
        {
            value >>= 1;
            return IteratorVerdict.Next;
        }
    }

    /// <summary>Writes four bytes for every object.</summary>
    private sealed unsafe class CountObjects(string target) : IteratorProgram
    {
        // A map and a key stand before the socket.
        private readonly uint _word = target == "sockmap" ? 3u : 1u;

        public override string Target => target;

        public override IteratorVerdict Run(ref IteratorContext context)
        {
            if (context.Pointer<byte>(_word) != null)
            {
                var one = 1u;
                context.Write(in one);
            }

            return IteratorVerdict.Next;
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
