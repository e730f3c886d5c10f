using Skep.Bpf.Btf;

namespace Skep.Bpf.Tests.Btf;

/// <summary>Types of all kinds that kernels learned one after the other.</summary>
internal static class SampleTypes
{
    internal static byte[] Everything()
    {
        var b = new BtfBuilder();
        var number = b.AddInt("int", 4, true);
        b.AddFloat("double", 8);
        var point = b.AddStruct("point", 8, ("x", number, 0u), ("y", number, 32u));
        b.AddDeclarationTag("tag", point);
        b.AddPointer(b.AddTypeTag("user", point));
        b.AddEnum64("wide", ("LOW", -1), ("HIGH", 1L << 40));
        b.AddFunction("run", b.AddPrototype(number, ("a", number), ("b", b.AddPointer(point))), global: true);
        b.AddDataSection("?.data", 12, (b.AddVariable("one", number), 0u, 4u), (b.AddVariable("two", point), 4u, 8u));
        return b.Build();
    }
}
