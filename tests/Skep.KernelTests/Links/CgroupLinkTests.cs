using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Asm;
using Skep.Bpf.Links;
using Skep.Bpf.Programs;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Links;

public class CgroupLinkTests
{
    private static string? CgroupRoot => File.ReadLines("/proc/self/mounts")
        .Select(line => line.Split(' '))
        .FirstOrDefault(fields => fields[2] == "cgroup2")?[1];

    [KernelFact]
    public void Refuses_connections_of_the_group_until_updated()
    {
        Kernel.Require(CgroupRoot is not null, "no cgroup2 file system is mounted");
        var group = Directory.CreateDirectory(Path.Combine(CgroupRoot!, $"skep-test-{Guid.NewGuid():N}")).FullName;
        try
        {
            using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listener.Listen();
            using var refuse = ProgramLoader.Load(Verdict(0));
            using var allow = ProgramLoader.Load(Verdict(1));
            using var link = CgroupLink.Attach(refuse, group, AttachType.CgroupInet4Connect);

            Assert.Equal(refuse.Id, link.ProgramId);
            Assert.Throws<SocketException>(() => Connect(group, listener));

            link.Update(allow);

            Connect(group, listener);
        }
        finally
        {
            Directory.Delete(group);
        }
    }

    private static ProgramSpec Verdict(int verdict) => new Assembler()
        .Move(R0, verdict)
        .Exit()
        .Build("connect", ProgramType.CgroupSockAddr, AttachType.CgroupInet4Connect);

    /// <summary>Connects while the process is in the group: a socket belongs to the group in which it was made.</summary>
    private static void Connect(string group, Socket listener)
    {
        var previous = Path.Join(CgroupRoot, File.ReadLines("/proc/self/cgroup").First(line => line.StartsWith("0::", StringComparison.Ordinal))[3..]);
        var self = Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture);
        File.WriteAllText(Path.Combine(group, "cgroup.procs"), self);
        try
        {
            using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            client.Connect(listener.LocalEndPoint!);
        }
        finally
        {
            File.WriteAllText(Path.Combine(previous, "cgroup.procs"), self);
        }
    }
}
