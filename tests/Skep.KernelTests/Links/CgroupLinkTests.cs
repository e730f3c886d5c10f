using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Asm;
using Skep.Bpf.Links;
using Skep.Bpf.Programs;
using Skep.KernelTests.Surroundings;
using static Skep.Bpf.Asm.Register;

namespace Skep.KernelTests.Links;

[Collection(ThreadCgroup.Collection)]
public class CgroupLinkTests
{
    [KernelFact]
    public void Refuses_connections_of_the_group_until_updated()
    {
        using var group = new TestCgroup();
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        using var refuse = ProgramLoader.Load(Verdict(0));
        using var allow = ProgramLoader.Load(Verdict(1));
        using var link = CgroupLink.Attach(refuse, group.Directory, AttachType.CgroupInet4Connect);

        Assert.Equal(refuse.Id, link.ProgramId);
        Assert.Throws<SocketException>(() => Connect(group, listener));

        link.Update(allow);

        Connect(group, listener);
    }

    private static ProgramSpec Verdict(int verdict) => new Assembler()
        .Move(R0, verdict)
        .Exit()
        .Build("connect", ProgramType.CgroupSockAddr, AttachType.CgroupInet4Connect);

    private static void Connect(TestCgroup group, Socket listener) => group.Inside(() =>
    {
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        client.Connect(listener.LocalEndPoint!);
        return client;
    });
}
