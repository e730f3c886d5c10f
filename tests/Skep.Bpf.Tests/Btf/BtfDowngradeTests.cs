using Skep.Bpf.Btf;

namespace Skep.Bpf.Tests.Btf;

public sealed class BtfDowngradeTests
{
    [Theory]
    [InlineData(BtfFeatures.Floats, BtfKind.Float)]
    [InlineData(BtfFeatures.DeclarationTags, BtfKind.DeclarationTag)]
    [InlineData(BtfFeatures.TypeTags, BtfKind.TypeTag)]
    [InlineData(BtfFeatures.WideEnums, BtfKind.Enum64)]
    [InlineData(BtfFeatures.Functions, BtfKind.Function)]
    [InlineData(BtfFeatures.Functions, BtfKind.FunctionPrototype)]
    [InlineData(BtfFeatures.DataSections, BtfKind.DataSection)]
    [InlineData(BtfFeatures.DataSections, BtfKind.Variable)]
    public void A_kind_that_is_missing_is_gone_and_all_types_keep_number_and_size(object missing, BtfKind kind)
    {
        using var before = BtfFile.Parse(SampleTypes.Everything());
        using var after = BtfFile.Parse(BtfDowngrade.Apply(SampleTypes.Everything(), (BtfFeatures)missing));
        Assert.Equal(before.Count, after.Count);
        for (var id = 1u; id < (uint)before.Count; id++)
        {
            Assert.NotEqual(kind, after[id].Kind);
            Assert.True(before[id].Kind is BtfKind.Variable or BtfKind.DeclarationTag or BtfKind.Function or BtfKind.FunctionPrototype || before.SizeOf(id) == after.SizeOf(id));
        }
    }

    [Fact]
    public void A_function_that_is_verified_by_itself_becomes_one_that_is_not()
    {
        using var after = BtfFile.Parse(BtfDowngrade.Apply(SampleTypes.Everything(), BtfFeatures.GlobalFunctions));
        Assert.Equal(0, after.LinkageOf(after.Find("run", BtfKind.Function)!.Value));
    }

    [Fact]
    public void A_section_of_variables_becomes_a_struct_with_the_variables_as_members()
    {
        using var after = BtfFile.Parse(BtfDowngrade.Apply(SampleTypes.Everything(), BtfFeatures.DataSections));
        var section = Enumerable.Range(1, after.Count - 1).Select(i => after[(uint)i]).Single(t => t is { Kind: BtfKind.Struct, SizeOrType: 12 });
        Assert.Equal([("one", 0), ("two", 32)], after.Members(section.Id).Select(m => (m.Name, m.BitOffset)));
    }

    [Fact]
    public void A_name_with_a_question_mark_loses_it()
    {
        using var after = BtfFile.Parse(BtfDowngrade.Apply(SampleTypes.Everything(), BtfFeatures.OptionalSections));
        Assert.NotNull(after.Find("_.data", BtfKind.DataSection));
    }
}
