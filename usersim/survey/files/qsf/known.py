"""Attributes of Qualtrics files that change neither who is asked what nor what an answer means.

Whatever is not listed here and is not read by the import becomes a note. A path covers everything
below it, `*` is one key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["COSMETIC", "ELEMENTS", "RULES", "UNSET", "is_set"]

_LAYOUT = (
    "Align", "Autoscale", "ChoiceColumnWidth", "ChoiceColumnWidthPixels", "ColumnOrder",
    "GridLines", "InputHeight", "InputWidth", "LabelPosition", "MobileFirst", "NumColumns",
    "QuestionDescriptionOption", "RepeatHeaders", "ShowValue", "SliderStartPositions",
    "SnapToGrid", "Stack", "StarType", "TextPosition", "Theme", "VariableCount", "WhiteSpace",
    "CustomStart", "MinSeconds", "MaxSeconds", "FloatHeaders", "Position", "Buttons", "MobileStack",
)  # fmt: skip
_VALIDATION = (
    # Whether an answer may be left out, and rules that `Type` does not switch on.
    "ForceResponse", "ForceResponseType", "ValidDateType", "ValidPhoneType", "ValidZipType",
)  # fmt: skip
_OPTION_LAYOUT = (
    "InputWidth", "InputHeight", "TextEntrySize", "TextEntryLength", "GraphicSize",
)  # fmt: skip
_LOGIC = (
    "Type", "inPage", "*.Type", "*.*.Type", "*.*.Description", "*.*.QuestionID",
    "*.*.QuestionIDFromLocator", "*.*.QuestionIsInLoop", "*.*.ChoiceLocator",
    "*.*._HiddenExpression", "*.*.QuotaID", "*.*.QuotaName", "*.*.QuotaType", "*.*.LeftOperand",
)  # fmt: skip
_LOGIC_AT = ("DisplayLogic", "Choices.*.DisplayLogic", "Answers.*.DisplayLogic")

COSMETIC: Final[Mapping[str, tuple[str, ...]]] = {
    "question": (
        "QuestionID", "QuestionDescription", "QuestionText_Unsafe", "QuestionText_Safe",
        "NextChoiceId", "NextAnswerId", "DataVisibility", "ChoiceDataExportTags",
        "AnswerColumns", "AnswerDataExportTag", "ChoiceColumnWidthPixels",
        "NumberOfQuestions", "GraphicsDescription", "ClarifyingSymbolType",
        "DynamicChoicesData", "SearchSource", "AutoLabel", "ChoiceOrder", "AnswerOrder",
        "SubSelector", "ColumnLabels.*.IsLabelDefault",
        *(f"Configuration.{name}" for name in _LAYOUT),
        *(f"Validation.Settings.{name}" for name in _VALIDATION),
        *(f"Choices.*.{name}" for name in _OPTION_LAYOUT),
        *(f"Answers.*.{name}" for name in _OPTION_LAYOUT),
        *(f"{where}.{name}" for where in _LOGIC_AT for name in _LOGIC),
        "DynamicChoices.Type", "DynamicChoices.DynamicType",
        "Randomization.EvenPresentation", "Randomization.ConsistentScaleReversal",
        "Randomization.Advanced.RandomizeAll", "Randomization.Advanced.TotalRandSubset",
    ),
    # Of a text to read nothing but the text is taken.
    "text": ("Validation", "Choices", "Answers", "Selector", "Configuration", "Randomization"),
    "block": (
        "ID", "Type", "SubType", "Description", "Options.BlockLocking", "Options.BlockVisibility",
        "Options.PreviousButton", "Options.previousButtonMID", "Options.previousButtonLibraryID",
        "Options.NextButton", "Options.nextButtonMID", "Options.nextButtonLibraryID",
        "Options.Randomization.EvenPresentation", "Options.Randomization.QuestionsPerPage",
        "BlockElements.*.SkipLogic.*.SkipLogicID", "BlockElements.*.SkipLogic.*.ChoiceLocator",
        "BlockElements.*.SkipLogic.*.SkipToDescription", "BlockElements.*.SkipLogic.*.Description",
        "BlockElements.*.SkipLogic.*.QuestionID", "BlockElements.*.SkipLogic.*.Type",
        "Options.LoopingOptions.QID",
    ),
    "flow": (
        "FlowID", "Description", "Autofill", "EvenPresentation", "EndingType", "Options",
        "Flow", *(f"BranchLogic.{name}" for name in _LOGIC),
        "EmbeddedData.*.Description", "EmbeddedData.*.Type",
        "EmbeddedData.*.VariableType", "EmbeddedData.*.DataVisibility",
        "EmbeddedData.*.AnalyzeText",
    ),
    "SurveyEntry": (
        "SurveyID", "SurveyDescription", "SurveyOwnerID", "SurveyBrandID", "DivisionID",
        "SurveyLanguage", "SurveyActiveResponseSet", "SurveyStatus", "SurveyStartDate",
        "SurveyExpirationDate", "SurveyCreationDate", "CreatorID", "LastModified",
        "LastAccessed", "LastActivated", "Deleted",
    ),
    "element": ("SurveyID", "Element", "PrimaryAttribute", "SecondaryAttribute",
                "TertiaryAttribute"),
    "SO": (
        "", "ActiveResponseSet", "AnonymizeResponse", "AutoConfirmStart", "Autoadvance",
        "AutoadvanceHideButton", "AutoadvancePages", "Autofocus", "BackButton",
        "BallotBoxStuffingPrevention", "BallotBoxStuffingPreventionBehavior",
        "BallotBoxStuffingPreventionMessage", "BallotBoxStuffingPreventionMessageLibrary",
        "BallotBoxStuffingPreventionURL", "CollectGeoLocation", "ConfirmStart", "CustomLanguages",
        "CustomStyles", "EOSMessage", "EOSMessageLibrary", "EOSRedirectURL", "EmailThankYou",
        "ExternalCSS", "HighlightQuestions", "InactiveMessage", "InactiveMessageLibrary",
        "InactiveSurvey", "NewScoring", "NextButton", "NoIndex", "OneCompletePerIP",
        "PageTransition", "PartialData", "PartialDataCloseAfter", "PartialDeletion", "Password",
        "PasswordProtection", "PreviousButton", "ProgressBarDisplay", "ProtectSelectionIds",
        "QuestionsPerPage", "RecaptchaV3", "RefererCheck", "RefererURL", "RelevantID",
        "RelevantIDLockoutPeriod", "ResponseSummary", "SaveAndContinue", "SecureResponseFiles",
        "ShowExportTags", "Skin", "SkinLibrary", "SkinQuestionWidth", "SkinType", "SpellChecked",
        "SurveyCreationDate", "SurveyExpiration", "SurveyLinkCompletedMessage",
        "SurveyLinkCompletedMessageLibrary", "SurveyLinkExpirationMessage",
        "SurveyLinkExpirationMessageLibrary", "SurveyLinkExpirationMessageType",
        "SurveyMetaDescription", "SurveyName", "SurveyProtection", "SurveyTermination",
        "SurveyTitle", "ThankYouEmailMessage", "ThankYouEmailMessageLibrary",
        "UseCustomSurveyLinkCompletedMessage", "ValidateMessage", "ValidationMessage",
        "ValidationMessageLibrary", "footerMid", "headerMid", "libraryId", "nextButtonMid",
        "previousButtonMid",
    ),
    "SCO": (
        "ScoringCategoryGroups", "ScoringSummaryCategory", "ScoringSummaryAfterQuestions",
        "ScoringSummaryAfterSurvey", "DefaultScoringCategory", "AutoScoringCategory",
        "IgnoreNullValues", "NextCategoryId", "NextGroupId", "ID",
    ),
    "QG": ("ID", "Name", "Selected", "MultipleMatch", "Public", "Quotas"),
    "STAT": ("MobileCompatible", "ID"),
    "PROJ": ("ProjectCategory", "SchemaVersion", "CompositionType", "ContentBundle"),
    "PL": ("PreviewType", "PreviewID"),
    "NT": ("Notes", "UserStatuses", "ParentID", "ID"),
    "SG": ("*", ),  # a filter of reports, named by whoever made it
    "BR": ("*", ),  # how often a randomizer showed what, by its id
}  # fmt: skip
"""By the kind of object."""

ELEMENTS: Final = frozenset({"BL", "FL", "SQ", "SO", "SCO", "QO", "QG", "QGO", "QC", "RS", "STAT",
                             "PROJ", "PL", "NT", "SG", "BR"})  # fmt: skip
"""Kinds of elements that are known; any other is noted as a whole."""

UNSET: Final = (
    "AnalyzeChoices", "Answers", "ChoiceGroupOrder", "ChoiceGroups", "Choices", "Configuration",
    "Configuration.AllowFreeResponse", "Configuration.CSSliderMax", "Configuration.CSSliderMin",
    "Configuration.NotApplicable", "Configuration.NumDecimals", "Configuration.StarCount",
    "DefaultChoices", "DynamicChoices", "GradingData", "Graphics", "Labels", "Language",
    "Options.Looping", "Options.LoopingOptions", "Options.Randomization",
    "Options.RandomizeQuestions", "QuestionJS", "Randomization", "RecodeValues", "Validation",
    "VariableNaming",
)  # fmt: skip
"""Attributes of a question or block that say something only where they are set."""

RULES: Final = tuple(
    f"Validation.Settings.{name}"
    for name in (
        "Type", "ContentType", "ValidNumber", "MinChars", "MaxChars", "TotalChars", "MinChoices",
        "MaxChoices", "ChoiceTotal", "CustomValidation", "ValidDate",
    )
)  # fmt: skip
"""Validation that says something only while its `Type` is switched on."""

_NOTHING = ("", "0", "false", "off", "none", "no")


def is_set(value: object) -> bool:
    """Return whether an attribute says anything: not false, empty, `OFF` or `None`.

    Example:
        >>> is_set("OFF"), is_set([]), is_set({"1": "No"})
        (False, False, True)
    """
    return bool(value) and str(value).strip().lower() not in _NOTHING
