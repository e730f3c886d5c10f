using Skep.Fuzz;

namespace Skep.KernelTests.Conformance;

/// <summary>The flow programs of both hooks over the same packets in the kernel and in the twin; end events too.</summary>
public class FlowConformance
{
    [KernelFact]
    public void Every_packet_of_the_corpus_is_accounted_for_the_same()
    {
        using var engines = Pair();
        Agreement.OnCorpus(engines);
    }

    [KernelFact]
    public void Mutated_packets_are_accounted_for_the_same()
    {
        using var engines = Pair();
        Agreement.OnMutations(engines);
    }

    private static EnginePair Pair() => new(bind =>
    {
        var scene = FlowScene.Create(bind);
        return (scene.Programs, scene.Maps.All);
    });
}
